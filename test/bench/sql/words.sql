-- :scripts texts, and the same for a trigger in PL/pgSQL.
-- Pitfall: an UPDATE compresses and stores the text, too, which costs more than
-- counting it; so the same without the trigger is taken off.

CREATE TABLE bench.text AS
SELECT repeat('The Vasa sank on 10 August 1628, a mile from the quay: too many guns, too little ballast. It wasn''t the '
              'captain''s fault, said the well-known inquiry; nobody''s, in the end, and 1,300 metres were all she made. ', :repeats) AS text;

INSERT INTO public.mm_script_generations (script_content) SELECT NULL FROM generate_series(1, :scripts);
ALTER TABLE public.mm_script_generations DISABLE TRIGGER USER;
CREATE TABLE twin.mm_script_generations (LIKE public.mm_script_generations INCLUDING ALL);
INSERT INTO twin.mm_script_generations SELECT * FROM public.mm_script_generations;

CREATE FUNCTION twin.count_script_words() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
	NEW.word_count := coalesce(twin.count_words(NEW.script_content), 0);
	RETURN NEW;
END
$$;
CREATE TRIGGER tr_mm_script_generations_words BEFORE UPDATE ON twin.mm_script_generations
	FOR EACH ROW WHEN (OLD.script_content IS DISTINCT FROM NEW.script_content) EXECUTE FUNCTION twin.count_script_words();
ALTER TABLE twin.mm_script_generations DISABLE TRIGGER USER;

-- Microseconds of the processor to fill the texts so often, undone each time.
CREATE PROCEDURE bench.fill_texts(p_table regclass, p_times integer, INOUT us double precision)
LANGUAGE plpgsql AS $$
DECLARE
  v_from double precision;
BEGIN
  us := 0;
  FOR i IN 1..p_times LOOP
    v_from := bench.cpu();
    EXECUTE format('UPDATE %s SET script_content = t.text FROM bench.text t', p_table);
    us := us + bench.cpu() - v_from;
    ROLLBACK;
  END LOOP;
END
$$;

-- Megabytes of text a second that a trigger counts.
CREATE PROCEDURE bench.count_words(p_side text, p_times integer, INOUT mb double precision)
LANGUAGE plpgsql AS $$
DECLARE
  v_table regclass := format('%I.mm_script_generations', CASE p_side WHEN 'twin' THEN 'twin' ELSE 'public' END);
  v_bare double precision;
  v_with double precision;
BEGIN
  EXECUTE format('ALTER TABLE %s DISABLE TRIGGER tr_mm_script_generations_words', v_table);
  COMMIT;
  CALL bench.fill_texts(v_table, p_times, v_bare);
  EXECUTE format('ALTER TABLE %s ENABLE TRIGGER tr_mm_script_generations_words', v_table);
  COMMIT;
  CALL bench.fill_texts(v_table, p_times, v_with);
  mb := (SELECT p_times * count(*) * (SELECT octet_length(text) FROM bench.text) FROM public.mm_script_generations) / (v_with - v_bare);
END
$$;

-- Do both write the same number?
ALTER TABLE public.mm_script_generations ENABLE TRIGGER tr_mm_script_generations_words;
ALTER TABLE twin.mm_script_generations ENABLE TRIGGER tr_mm_script_generations_words;
BEGIN;
UPDATE public.mm_script_generations SET script_content = t.text FROM bench.text t;
UPDATE twin.mm_script_generations SET script_content = t.text FROM bench.text t;
SELECT 1 / (o.word_count = t.word_count AND t.word_count > 1000)::integer
  FROM public.mm_script_generations o JOIN twin.mm_script_generations t USING (script_id) \g /dev/null
ROLLBACK;
