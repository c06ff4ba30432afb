-- 600_words.sql
--
-- studio_engine.count_words: texts of many scripts, laws that hold for every
-- character, a twin for ASCII, long texts, and databases that are not UTF-8.
-- Pitfall: what is not seen is written as an escape, so that an editor that
-- normalizes or trims does not change a case.

\set VERBOSITY terse
\set SHOW_CONTEXT never

CREATE TABLE t.cases (nr integer GENERATED ALWAYS AS IDENTITY, script text, words integer, text text, shows text);

INSERT INTO t.cases (script, words, text, shows) VALUES
  ('none', 0, '', 'empty'),
  ('none', 0, '     ', 'only spaces'),
  ('none', 0, E' \t\r\n\f\x0b ', 'only ASCII space'),
  ('none', 0, U&'\00A0\2003\200B\3000\2028\0085', 'only space beyond ASCII'),
  ('none', 0, '?!... --- ''''" (), [] {} <> ;:/\|@#$%^&*+=~`_', 'only ASCII punctuation'),
  ('none', 0, '«» „“ ‚‘ … — – · • † ‰ § ¶ ¿ ¡', 'only punctuation beyond ASCII'),
  ('none', 0, E'\x01\x1b\x7f\u0081\u009f', 'controls'),
  ('none', 0, U&'\E000\F8FF\+0F0000\+10FFFD', 'private use'),
  ('none', 0, U&'\FEFF\200E\200F\202A\202C\2066\2069\061C\2060\00AD\FE0F', 'what is not seen, by itself'),
  ('none', 0, '€ $ £ ¥ ₹ ₽ ₿ ¢ ฿ ₩', 'currency'),
  ('none', 0, '→ ⇒ ∑ √ ∞ ≠ ≤ ± × ÷ − ■ ░ ┼ ✓ ★ ♠ ⚠ ⌘ ⟨⟩ ⦿ ⬛', 'arrows, mathematics, boxes, dingbats'),
  ('none', 0, '© ® ™ ℠ № ℃ ° ℮', 'signs'),
  ('none', 0, '① ② ⒈ ⓐ ❶ ㊀ ㈱ ㎏ 🄰', 'circled, parenthesized and squared'),

  ('Latin', 1, 'word', 'one word'),
  ('Latin', 2, '  two   words  ', 'spaces around and between'),
  ('Latin', 4, E'one\ntwo\r\nthree\tfour', 'ends of lines and tabs'),
  ('Latin', 5, 'Don''t touch Anna''s well-known book', 'apostrophes and a hyphen'),
  ('Latin', 3, 'rock ''n'' roll', 'apostrophes on both sides'),
  ('Latin', 3, '''tis the dogs''', 'an apostrophe before and one after'),
  ('Latin', 3, 'don’t l’été aujourd’hui', 'typographic apostrophes'),
  ('Latin', 2, 'Hawai‘i O‛ahu', 'quotation marks for a letter'),
  ('Latin', 3, U&'Hawai\02BBi t\02BCie don\00B4t', 'letters and accents for an apostrophe'),
  ('Latin', 2, 'yes--no', 'two hyphens are a dash'),
  ('Latin', 2, 'this—that', 'em dash without spaces'),
  ('Latin', 2, 'Berlin–Hamburg', 'en dash without spaces'),
  ('Latin', 2, 'pre- and', 'a hyphen at the end'),
  ('Latin', 2, '-x -- -y-', 'hyphens around'),
  ('Latin', 2, 'rock-''roll', 'a hyphen and an apostrophe side by side'),
  ('Latin', 2, U&'co\2010op non\2011stop', 'hyphen and non-breaking hyphen'),
  ('Latin', 1, U&'Donau\00ADdampf\00ADschiff', 'soft hyphens'),
  ('Latin', 2, 'snake_case', 'an underscore parts'),
  ('Latin', 2, 'and/or', 'a slash parts'),
  ('Latin', 4, '("nested [punctuation], {deeply}"): here!', 'nested punctuation'),
  ('Latin', 4, '“Quoted ‘words’,” «said» ‹she›', 'quotation marks'),
  ('Latin', 2, 'R&D', 'an ampersand parts'),
  ('Latin', 4, 'naïve façade Ærøskøbing straße', 'precomposed'),
  ('Latin', 2, U&'nai\0308ve fac\0327ade', 'decomposed'),
  ('Latin', 4, U&'Vie\0323\0302t Nam phở Tiếng', 'Vietnamese, two marks on a letter'),
  ('Latin', 3, 'çok güzel ığdır', 'Turkish'),
  ('Latin', 1, 'col·lecció', 'Catalan middle dot'),
  ('Latin', 2, U&'fin\00A0mot', 'no-break space'),
  ('Latin', 2, U&'10\202F000', 'narrow no-break space'),
  ('Latin', 2, U&'one\200Btwo', 'zero width space'),
  ('Latin', 1, U&'one\2060\FEFFtwo', 'word joiner, byte order mark'),
  ('Latin', 1, U&'\FEFFword', 'byte order mark at the beginning'),
  ('Latin', 1, U&'a\200Eb\202Ec\2069d', 'marks of direction inside'),
  ('Latin', 1, 'ﬁnance', 'ligature'),
  ('Latin', 2, 'ｆｕｌｌ　ｗｉｄｔｈ', 'full width letters, ideographic space'),
  ('Latin', 1, 'ｄｏｎ＇ｔ', 'full width apostrophe'),
  ('Latin', 2, '𝐁𝐨𝐥𝐝 𝒔𝒄𝒓𝒊𝒑𝒕', 'mathematical letters'),
  ('Latin', 3, 'x² H₂O ℕ', 'superscripts, subscripts, letterlike letters'),
  ('Latin', 1, repeat('Pneumono', 1000), 'a very long word'),
  ('Latin', 1, repeat('a-', 5000) || 'a', 'a very long word with hyphens'),
  ('Latin', 3, U&'re\FFFDsume\FFFD two \FFFD three', 'lost letters neither part nor count'),

  ('numbers', 3, '3.14 1,000 1,234,567.89', 'points and commas between digits'),
  ('numbers', 2, '1, 2.', 'points and commas after digits'),
  ('numbers', 4, 'v1.a 1.,2', 'points and commas elsewhere'),
  ('numbers', 3, '31.12.2024 2024-12-31 1''000', 'dates, Swiss thousands'),
  ('numbers', 5, '12/31/2024 12:30', 'slashes and colons part'),
  ('numbers', 3, '$9.99 50% -5', 'price, percent, sign'),
  ('numbers', 2, '½ Ⅻ', 'fraction, Roman numeral'),
  ('numbers', 3, '1st 2nd B2B', 'digits and letters'),
  ('numbers', 3, '３．１４ １，０', 'full width point; the full width comma parts'),

  ('address', 7, 'https://www.example.com/path?q=1', 'URL'),
  ('address', 4, 'first.last@example.org', 'e-mail'),
  ('address', 1, '192.168.0.1', 'a number with points'),
  ('address', 3, '#hash-tag @user_name', 'tag and handle'),

  ('emoji', 0, '😀😃 👍 🎉🎊', 'emoji'),
  ('emoji', 0, U&'\+01F44D\+01F3FD \+01F9D1\+01F3FF\200D\+01F680', 'skin tones, a profession'),
  ('emoji', 0, U&'\+01F468\200D\+01F469\200D\+01F467\200D\+01F466 \2764\FE0F\200D\+01F525', 'families, a burning heart'),
  ('emoji', 0, U&'\+01F1E9\+01F1EA \+01F3F4\+0E0067\+0E0062\+0E0073\+0E0063\+0E0074\+0E007F', 'flags'),
  ('emoji', 1, U&'#\FE0F\20E3 1\FE0F\20E3', 'keycaps: a digit counts'),
  ('emoji', 2, 'great👍job', 'emoji between words'),
  ('emoji', 3, U&'I \2764\FE0F New York\+01F5FD', 'emoji in a sentence'),

  ('Greek', 3, 'Καλημέρα, τι κάνεις;', 'accents'),
  ('Greek', 2, U&'\03C4\03B9\037E \03BD\03B1\03B9', 'Greek question mark'),
  ('Greek', 2, U&'\03BD\03B1\03B9\0387 \03CC\03C7\03B9', 'ano teleia'),
  ('Greek', 4, 'ἐν ἀρχῇ ἦν ὁ', 'breathings'),
  ('Greek', 1, U&'\03B1\03BB\03BB\1FBD\03B5\03B3\03C9', 'koronis'),
  ('Cyrillic', 5, 'Съешь ещё этих — мягких булок', 'Russian, a dash with spaces'),
  ('Cyrillic', 3, 'кто-нибудь пів’яблука п''ять', 'hyphen, Ukrainian apostrophes'),
  ('Cyrillic', 2, U&'\0438\0306 \0435\0308', 'decomposed'),
  ('Armenian', 3, 'Ինչպե՞ս եք, բարև՜։', 'marks inside words, full stop'),
  ('Armenian', 1, 'Հայ֊ռուսական', 'hyphen'),
  ('Hebrew', 4, 'בְּרֵאשִׁית בָּרָא אֱלֹהִים׃ אֵת', 'niqqud, sof pasuq'),
  ('Hebrew', 1, 'בית־ספר', 'maqaf'),
  ('Hebrew', 3, 'צה״ל ג׳ירפה וכו׳', 'gershayim, geresh'),
  ('Hebrew', 3, U&'\200Fabc \200E\05E9\05DC\05D5\05DD\200F, 5\200F', 'marks of direction'),
  ('Arabic', 3, 'السلام عليكم، صديقي؟', 'comma, question mark'),
  ('Arabic', 2, 'مُحَمَّدٌ رَسُولُ', 'harakat'),
  ('Arabic', 2, U&'\0645\0640\0640\062D\0645\062F \0640 \0628', 'tatweel, inside and alone'),
  ('Arabic', 2, '٣٫١٤ ١٬٠٠٠', 'decimal and thousands separator'),
  ('Arabic', 2, 'ﷲ ﻣﺤﻤﺪ', 'presentation forms'),
  ('Persian', 2, U&'\0645\06CC\200C\062E\0648\0627\0647\0645 \06A9\062A\0627\0628\200C\0647\0627', 'zero width non-joiner'),
  ('Urdu', 4, 'یہ ایک ہے۔ ۱۲', 'full stop, digits'),
  ('Syriac', 2, 'ܫܠܡܐ܂ ܠܟ', 'punctuation'),

  ('Devanagari', 3, 'नमस्ते दुनिया। क्षेत्र॥', 'danda'),
  ('Devanagari', 2, U&'\0915\094D\200D\0937 \0915\094D\200C\0937', 'joiner and non-joiner'),
  ('Devanagari', 2, '३.१४ १,०००', 'digits'),
  ('Bengali', 3, 'আমি বাংলায় ৳ গাই।', 'currency, danda'),
  ('Tamil', 2, 'வணக்கம், உலகம்!', 'vowel signs'),
  ('Telugu', 2, 'నమస్కారం ప్రపంచం', 'vowel signs'),
  ('Sinhala', 2, U&'\0DC1\0DCA\200D\0DBB\0DD3 \0DBD\0D82\0D9A\0DCF', 'joiner'),
  ('Thai', 1, 'ภาษาไทยไม่มีช่องว่าง', 'limit: a phrase without spaces'),
  ('Thai', 2, U&'\0E20\0E32\0E29\0E32\200B\0E44\0E17\0E22', 'zero width space'),
  ('Thai', 2, 'ราคา ๑๒๐฿', 'digits, baht'),
  ('Lao', 1, 'ສະບາຍດີ', 'limit'),
  ('Khmer', 2, 'ភាសាខ្មែរ។ សួស្តី៕', 'limit, full stops'),
  ('Burmese', 2, 'မြန်မာဘာသာ၊ စကား။', 'limit, punctuation'),
  ('Tibetan', 4, 'བཀྲ་ཤིས་བདེ་ལེགས།', 'tsheg: syllables'),
  ('Georgian', 3, 'გამარჯობა, როგორ ხარ?', 'no capitals'),
  ('Ethiopic', 3, 'ሰላም፡ለዓለም። እንኳን', 'word space, full stop'),
  ('Mongolian', 2, U&'\182E\1823\1829\182D\1823\182F\180E\1820 \182A\1822\1834\1822\182D\180C\1803', 'vowel separator, variation selector, comma'),
  ('Cherokee', 2, 'ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ', 'syllables'),
  ('Adlam', 2, '𞤀𞤣𞤤𞤢𞤥 𞤆𞤵𞤤𞤢𞤪', 'beyond the first plane'),

  ('Korean', 2, '안녕하세요 세계', 'Hangul by words'),
  ('Korean', 1, U&'\1112\1161\11AB\1100\1173\11AF', 'Hangul in jamo'),
  ('Korean', 2, U&'\3164\D55C\AE00 \D55C\AD6D\FFA0', 'fillers'),
  ('Chinese', 7, '我喜欢学习中文。', 'simplified'),
  ('Chinese', 7, '「學習」，是一種樂趣！', 'traditional'),
  ('Chinese', 6, '第3章：GPT模型', 'with digits and Latin'),
  ('Chinese', 3, '二〇〇', 'zero'),
  ('Chinese', 2, '𠀀𪚥', 'beyond the first plane'),
  ('Chinese', 1, U&'\845B\+0E0100', 'variation selector'),
  ('Japanese', 5, 'こんにちは。', 'Hiragana'),
  ('Japanese', 4, 'コーヒー', 'prolonged sound marks count'),
  ('Japanese', 5, '人々　いすゞ', 'iteration marks count'),
  ('Japanese', 2, U&'\304B\3099\304D\309A', 'voiced marks do not count'),
  ('Japanese', 3, 'ｶﾞｯﾂ', 'half width, nor does the voiced mark there'),
  ('Japanese', 6, 'T-シャツ ・ Web版', 'with Latin'),
  ('Bopomofo', 2, 'ㄋㄧˇ ㄏㄠˇ', 'by words'),
  ('Braille', 2, '⠓⠑⠇⠇⠕⠀⠺⠕⠗⠇⠙', 'cells and the blank cell');

-- the wrong ones
SELECT nr, script, words, studio_engine.count_words(text) AS counted, shows
  FROM t.cases WHERE studio_engine.count_words(text) IS DISTINCT FROM words ORDER BY nr;
SELECT count(*) AS cases,
       count(DISTINCT script) FILTER (WHERE script NOT IN ('none', 'numbers', 'address', 'emoji')) AS scripts
  FROM t.cases;
SELECT studio_engine.count_words(NULL) AS no_text;

--
-- Laws
--

-- texts side by side count what they count apart
SELECT count(*) AS pairs, count(*) FILTER (WHERE
         studio_engine.count_words(a.text || ' ' || b.text) <> a.words + b.words) AS wrong
  FROM t.cases a, t.cases b WHERE length(a.text) < 1000 AND length(b.text) < 1000;

-- what is not seen changes nothing, wherever it stands
SELECT count(*) AS texts, count(*) FILTER (WHERE
         studio_engine.count_words(regexp_replace(c.text, '(.)', '\1' || i.character, 'g')) <> c.words) AS wrong
  FROM t.cases c,
       unnest(ARRAY[U&'\FE0F', U&'\200D', U&'\200C', U&'\200F', U&'\00AD', U&'\0301', U&'\+0E0020']) i (character)
 WHERE length(c.text) < 1000;

-- a character counts as its canonical decomposition does, alone, in a word and in a number
CREATE TABLE t.characters AS
  SELECT n, chr(n) AS character FROM generate_series(128, 1114111) n WHERE n NOT BETWEEN 55296 AND 57343;
SELECT to_hex(c.n), p.pattern
  FROM t.characters c, unnest('{%s,a%sb,1%s2}'::text[]) p (pattern)
 WHERE normalize(c.character, NFD) <> c.character
   AND studio_engine.count_words(format(p.pattern, c.character))
       <> studio_engine.count_words(format(p.pattern, normalize(c.character, NFD)))
 ORDER BY 2, 1;
SELECT count(*) > 13000 AS decomposed FROM t.characters WHERE normalize(character, NFD) <> character;

-- a character alone is a word or none, and between two letters it leaves one word, parts two or is one more
SELECT count(*) AS characters,
       count(*) FILTER (WHERE alone NOT IN (0, 1)) AS wrong_alone,
       count(*) FILTER (WHERE inside NOT IN (1, 2, 3) OR inside = 3 AND alone = 0 OR inside = 2 AND alone = 1) AS wrong_inside
  FROM (SELECT studio_engine.count_words(character) AS alone,
               studio_engine.count_words('a' || character || 'b') AS inside
          FROM t.characters) c;

--
-- The twin
--

\getenv tests PG_ABS_SRCDIR
\set twin :tests /twin/words.sql
\set ECHO none
\i :twin
\set ECHO all

SELECT setseed(0.6);
-- noise of three kinds: mostly letters, all of ASCII, mostly what stands inside words
CREATE TABLE t.noise AS
  SELECT n, string_agg(substr(a.alphabet, 1 + floor(random() * length(a.alphabet))::integer, 1), '') AS text
    FROM generate_series(1, 6000) n
    JOIN (VALUES (0, 'abcdefghijklmnopqrstuvwxyzEATONS0123456789        ''''--..,,_"!?()'),
                 (1, (SELECT string_agg(chr(i), '') FROM generate_series(1, 127) i)),
                 (2, 'ab12 ''--..,,_')) a (kind, alphabet) ON a.kind = n % 3
    JOIN generate_series(1, 120) position ON position <= 1 + n % 120
   GROUP BY n;
SELECT count(*) AS texts, sum(words) > 50000 AS enough,
       count(*) FILTER (WHERE words <> twin_words) AS wrong
  FROM (SELECT studio_engine.count_words(text) AS words, twin.count_words(text) AS twin_words FROM t.noise) c;

-- prose of a lesson
CREATE TABLE t.lessons AS
  SELECT n, string_agg((ARRAY['the', 'learner''s', 'well-being', 'section', 'Module', '3.2', '1,500', 'practice', 'e.g.', 'safety',
                              'isn''t', 'up-to-date', '2024-05-17', 'company', '"quality"', '(see', 'figure)', 'step', 'a', '50%']
                       )[1 + floor(random() * 20)::integer]
                       || (ARRAY[' ', ' ', ' ', ' ', ' ', ', ', '. ', E'.\n\n', ' - ', '--', ': ', '; ', E'\n* ', '? '])[1 + floor(random() * 14)::integer], '') AS text
    FROM generate_series(1, 300) n, generate_series(1, 200) word GROUP BY n;
SELECT count(*) AS lessons, min(words) > 150 AS enough, count(*) FILTER (WHERE words <> twin_words) AS wrong
  FROM (SELECT studio_engine.count_words(text) AS words, twin.count_words(text) AS twin_words FROM t.lessons) c;

-- the comparison sees a difference: simple rules are wrong in most lessons
SELECT count(*) FILTER (WHERE regexp_count(text, '\S+') <> twin.count_words(text)) > 250 AS spaces,
       count(*) FILTER (WHERE regexp_count(text, '\w+') <> twin.count_words(text)) > 250 AS letters
  FROM t.lessons;

--
-- Long texts
--

CREATE TABLE t.long (name text, words integer, text text);
INSERT INTO t.long VALUES
  ('1 MB of ASCII', 160000, repeat('The teacher said: "Well-known facts, 3.14 and 1,000." ', 20000)),
  ('10 MB of Russian', 2000000, repeat('слово и де-ло ... ', 666666) || 'ещё два'),
  ('10 MB of Chinese', 3000000, repeat('学习，中文。', 750000)),
  ('10 MB in one word', 1, repeat('ж’', 2000000) || 'ж'),
  ('10 MB of nothing', 0, repeat(' .', 5000000));
SELECT name, octet_length(text) > 1000000 AS long, studio_engine.count_words(text) = words AS right
  FROM t.long ORDER BY words, name;
-- characters and words that lie across the end of a block
SELECT count(*) AS texts, count(*) FILTER (WHERE
         studio_engine.count_words(repeat('x', n) || 'é’s 1.5 漢字 😀 x') <> 5) AS wrong
  FROM generate_series(65500, 65600) n;
-- stored in other ways
CREATE TABLE t.stored (text text);
ALTER TABLE t.stored ALTER text SET STORAGE EXTERNAL;
INSERT INTO t.stored SELECT text FROM t.long WHERE name = '1 MB of ASCII';
INSERT INTO t.stored VALUES ('two words');
SELECT studio_engine.count_words(text) FROM t.stored ORDER BY 1;

--
-- Databases that are not UTF-8
--

\set here :DBNAME
CREATE DATABASE words_latin1 TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C';
CREATE DATABASE words_euc_jp TEMPLATE template0 ENCODING 'EUC_JP' LOCALE 'C';
CREATE DATABASE words_sql_ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C';

\c words_latin1
CREATE FUNCTION count_words(text) RETURNS integer LANGUAGE c STRICT AS '$libdir/studio_engine', 'studio_count_words';
SELECT count_words('') AS empty, count_words(E'na\xefve caf\xe9\xa0\xab\xe0 la carte\xbb 5\xb0') AS french,
       count_words(E'col\xb7lecci\xf3 \xb7') AS catalan;

\c words_euc_jp
CREATE FUNCTION count_words(text) RETURNS integer LANGUAGE c STRICT AS '$libdir/studio_engine', 'studio_count_words';
-- two kanji, an ideographic comma, two kana, a half width kana
SELECT count_words(E'\xb4\xc1\xbb\xfa\xa1\xa2\xa5\xab\xa4\xca \x8e\xb6 Web') AS words;

-- any byte may stand there: what is UTF-8 is read as such, another byte is a letter
\c words_sql_ascii
CREATE FUNCTION count_words(text) RETURNS integer LANGUAGE c STRICT AS '$libdir/studio_engine', 'studio_count_words';
SELECT count_words(E'caf\xe9 na\xefve') AS latin1, count_words(E'a\xe2\x80\x94b \xe6\xbc\xa2\xe5\xad\x97') AS utf8,
       count_words(E'\xff \xfe \x80') AS never_utf8, count_words(E'a \xe2\x80') AS cut_off,
       count_words(E'\xf0\x9f\x98\x80 \xf0\x9f\x98') AS emoji_and_half_of_it,
       count_words(E'\xc0\x80 \xed\xa0\x80 \xf4\x90\x80\x80') AS not_legal;

\c :here
\set VERBOSITY terse
\set SHOW_CONTEXT never
DROP DATABASE words_latin1;
DROP DATABASE words_euc_jp;
DROP DATABASE words_sql_ascii;
SET client_min_messages = warning;
DROP SCHEMA twin CASCADE;
RESET client_min_messages;
DROP TABLE t.cases, t.characters, t.noise, t.lessons, t.long, t.stored;
SELECT * FROM t.clean();
