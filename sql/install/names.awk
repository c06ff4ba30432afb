# Prints what the installation creates in the schema of the extension, how its tables are commented, and the tables of the design documents, for
# begin.sql: reads sql/tables, sql/api and sql/import; what is the list to print.
#
# Pitfall: it knows SQL as those files write it: a statement begins a line, a constraint of a table has a line, and the
# COMMENT of a function has its signature without names and defaults.  test/tap/013_clashes.pl compares with a catalogue.

function add(kind, table, name) {
	names[kind] = names[kind] (names[kind] == "" ? "" : ", ") "('" table "', '" name "')"
}

/^ *CREATE TABLE / {
	table = $3 ~ /^@extschema@\./ ? substr($3, 13) : ""
	if (table != "")
		add("relations", table, table)
}
/^ *CONSTRAINT [a-z_]+ (PRIMARY KEY|UNIQUE|EXCLUDE)/ && table != "" { add("relations", table, $2) }
/^ *\);/ { table = "" }
/^ *CREATE (UNIQUE )?INDEX / && / ON @extschema@\./ {
	on = $0
	sub(/.* ON @extschema@\./, "", on)
	sub(/[^a-z_].*/, "", on)
	add("relations", on, $2 == "UNIQUE" ? $4 : $3)
}
/^ *CREATE (SEQUENCE|VIEW) @extschema@\./ { add("relations", "", substr($3, 13)) }
/^ *CREATE (TYPE|DOMAIN) @extschema@\./ { add("types", "", substr($3, 13)) }
/^COMMENT ON FUNCTION @extschema@\./ {
	signature = $0
	sub(/^COMMENT ON FUNCTION @extschema@\./, "", signature)
	# one of more than a line goes on to IS
	while (signature !~ / IS$/ && (getline line) > 0)
		signature = signature line
	sub(/ IS$/, "", signature)
	add("functions", "", signature)
}
# a table of ours, and the first line of its comment, which tells it from another of that name
/^ *COMMENT ON TABLE (@extschema@|pipeline)\./ {
	commented = $4
	sub(/^@extschema@\./, "", commented)
	getline first
	sub(/^ *'/, "", first)
	sub(/';$/, "", first)
	# for sed
	gsub(/[\/&]/, "\\\\&", first)
	add("comments", commented, first)
}
/^CREATE EVENT TRIGGER / { add("event_triggers", "", $4) }

# a table of the design documents, in the list of the importer: its system, its name, and the columns that it must have
/^\t\('[a-z]+', '[a-z_]+', (true|false), (true|false), ARRAY\[/ {
	split($0, word, "'")
	documented = word[4]
	line = $0
	while (line !~ /'\]/ && (getline more) > 0)
		line = line more
	sub(/^[^[]*\[/, "", line)
	sub(/'\].*/, "'", line)
	list = ""
	count = split(line, word, "'")
	for (i = 2; i <= count; i += 2) {
		sub(/ .*/, "", word[i])
		list = list (list == "" ? "" : ",") word[i]
	}
	names["documented"] = names["documented"] (names["documented"] == "" ? "" : ", ") "('" documented "', '{" list "}'::text[])"
}

END {
	for (kind in names)
		found++
	if (found < 6)
		exit 1
	print names[what]
}
