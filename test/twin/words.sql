/*
 * words.sql
 *
 * The number of words once more, as one regular expression: the oracle of the
 * tests and the baseline of the measurements.  Load it into a throwaway database.
 *
 * The pitfall: it is for ASCII only.  It says nothing about other scripts, where
 * the classes of a regular expression are those of the locale.
 */
CREATE SCHEMA twin;

-- [[:alnum:]] is not used: it would ask the locale, and \w takes the underscore.
CREATE FUNCTION twin.count_words(p_text text) RETURNS integer
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT count(*)::integer
	FROM regexp_matches(p_text, '[A-Za-z0-9]+(?:(?:[''-]|(?<=[0-9])[.,](?=[0-9]))[A-Za-z0-9]+)*', 'g')
$$;
