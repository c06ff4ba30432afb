-- Words of prose.
-- Pitfall: STRICT, unlike all that refuses a NULL by name: a text that is not
-- there has no number of words.

CREATE FUNCTION studio_engine.count_words(p_text text) RETURNS integer
  LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'studio_count_words'
  SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION studio_engine.count_words(text) IS
'How many words p_text has; NULL: NULL. A word is a run of letters, digits and marks of any script, not of underscores. Apostrophes and hyphens (soft ones, maqaf, middle dot too) stay inside it between two of these, a full stop or comma between two digits. Han, Hiragana and Katakana count one for each character, Hangul by words, Tibetan by syllables. Thai, Lao, Khmer and Burmese count one for a phrase without spaces. Punctuation, symbols, emoji, controls and private use count nothing.';
