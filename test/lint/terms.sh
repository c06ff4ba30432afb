#!/bin/bash
# Comments of the library and of its SQL state what is, in the field's words: no questions, and none of our own old
# words for what PostgreSQL and queues have a word for.
#
# Pitfall: a question mark in a string or an expression is none; what begins a comment, or continues one, is looked at.
set -euo pipefail

# shellcheck source=test/lib/lint.sh
source test/lib/lint.sh
mapfile -t scripts < <(find sql/api sql/attach sql/tables sql/install -name '*.sql' | sort)

never 'no comment of the library is a question' '^( \*|[[:space:]]*/\*)[^"]*\?([[:space:]]|$)|/\*[^"]*\?[[:space:]]*\*/' "${sources[@]}"
never 'no comment of the SQL is a question' '^[[:space:]]*--[^"]*\?[[:space:]]*$' "${scripts[@]}"
never 'no word of our own in the library' '\<([Ww]hoever|[Ss]omebody|anew|at hand|direct road|[Pp]rolongs?|stands? down|strays?|vain)\>' "${sources[@]}"
never 'no word of our own in the SQL' '\<([Ww]hoever|[Ss]omebody|anew|at hand|direct road|[Pp]rolongs?|stands? down|strays?)\>' "${scripts[@]}"
echo "1..$count"
exit "$failed"
