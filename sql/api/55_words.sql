-- Words of prose.
-- Pitfall: STRICT, unlike all that refuses a NULL by name: a text that is not
-- there has no number of words.

CREATE FUNCTION studio_engine.count_words(p_text text) RETURNS integer
  LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'studio_count_words'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.count_words(text) IS
'Returns the number of words of a text.

- p_text: the text; NULL gives NULL.

A word is a run of letters, digits and marks of any script, not of underscores. Apostrophes and hyphens (soft
hyphen, maqaf and middle dot too) stay inside a word between two of these, a full stop or comma between two
digits. Han, Hiragana and Katakana count one for each character, Hangul by words, Tibetan by syllables, Thai,
Lao, Khmer and Burmese one for a phrase without spaces. Punctuation, symbols, emoji, controls and private use
count nothing.';
