# Code that somebody plants where ours may run it, and the record of who ran it.
#
# Each trap says LOG "TRAP|phase|planter|kind|table|current user|session user" and does nothing else, so that what
# steps on it goes on; the log is kept also when the transaction is not.  The phase is the application_name, in three
# parts: round|who does what|table that the statement names.
#
# Pitfall: what a plain statement does to the table that it names is PostgreSQL's own: its triggers, checks and
# defaults run as whoever gave the statement.  All else is by us.  And a function that is immutable runs when a
# statement is planned, once for each relation in the cache of a session: the option forget empties that cache.
#
# Kinds that are not here: input functions of types, operators of exclusion constraints and indexes, support functions,
# security labels, conversions and event triggers can be made by a superuser only; row filters of publications call
# nothing that a user made.

package Traps;

use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Utils;
use StudioCalls;
use StudioTest;
use Test::More;

our @EXPORT = qw(
  say_trap prepare_planter kinds_of plant our_tables
  attempt refusals left_behind as_role calls changes copies story sign_ups adoptions
  log_position trapped none_ok no_escape_ok live_ok
  replace_names overload_names shadow_names
);

# What a trap says, as a statement of plpgsql; kind and table are expressions.
sub say_trap
{
	my ($planter, $kind, $table) = @_;

	return "RAISE LOG 'TRAP|%|$planter|%|%|%|%', pg_catalog.current_setting('application_name'), $kind, $table, current_user, session_user;";
}

# A schema of the planter's, of_PLANTER, with what his traps call.
sub prepare_planter
{
	my ($node, $db, $planter) = @_;
	my $sql = q{
		CREATE SCHEMA of_PLANTER AUTHORIZATION PLANTER;
		GRANT USAGE ON SCHEMA of_PLANTER TO PUBLIC;
		SET ROLE PLANTER;
		SET search_path = of_PLANTER, pg_catalog;
		CREATE FUNCTION fire(text, text) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS
			$trap$ BEGIN SAY($1, $2) RETURN true; END $trap$;
		CREATE FUNCTION fire(text, text, anyelement) RETURNS text IMMUTABLE LANGUAGE plpgsql AS
			$trap$ BEGIN SAY($1, $2) RETURN $3::text; END $trap$;
		CREATE FUNCTION fire_always(text, text) RETURNS boolean VOLATILE LANGUAGE plpgsql AS
			$trap$ BEGIN SAY($1, $2) RETURN true; END $trap$;
		CREATE FUNCTION trigger() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS
			$trap$ BEGIN SAY(TG_ARGV[0], TG_TABLE_SCHEMA || '.' || TG_TABLE_NAME) IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; RETURN NEW; END $trap$;
		CREATE TYPE word AS ENUM ('word');
		CREATE FUNCTION word_json(word) RETURNS json LANGUAGE plpgsql AS $trap$ BEGIN SAY('cast to json', 'any') RETURN '1'; END $trap$;
		CREATE CAST (word AS json) WITH FUNCTION word_json(word);
		CREATE TYPE key AS (id uuid);
		CREATE FUNCTION key_uuid(key) RETURNS uuid IMMUTABLE LANGUAGE plpgsql AS
			$trap$ BEGIN SAY('cast of a foreign key', 'any') RETURN $1.id; END $trap$;
		CREATE CAST (key AS uuid) WITH FUNCTION key_uuid(key) AS IMPLICIT;
		CREATE DOMAIN flag AS boolean CHECK (fire_always('domain', 'any'));

		-- whatever might run later, with the rights of who comes by
		CREATE FUNCTION leave_always(text) RETURNS boolean VOLATILE LANGUAGE plpgsql AS $trap$
		DECLARE
			v_statement text;
		BEGIN
			SAY('leaving', $1)
			FOREACH v_statement IN ARRAY ARRAY['LISTEN trap', 'PREPARE trap AS SELECT 1', 'CREATE TEMP TABLE trap ()', 'CREATE TEMP VIEW trap_view AS SELECT 1',
				'DECLARE trap CURSOR WITH HOLD FOR SELECT 1', 'SET ROLE PLANTER', 'SET SESSION AUTHORIZATION PLANTER', 'RESET SESSION AUTHORIZATION',
				'RESET ROLE', 'SET search_path = of_PLANTER, pg_catalog', 'SET row_security = off', 'SET trap.left = 1', 'SET TimeZone = "Etc/GMT+11"',
				'SET check_function_bodies = off', 'SET request.jwt.claims = "{}"', 'SET LOCAL statement_timeout = 7654321',
				'SET LOCAL search_path = of_PLANTER, pg_catalog'] LOOP
				BEGIN
					EXECUTE v_statement;
				EXCEPTION WHEN OTHERS THEN NULL;
				END;
			END LOOP;
			RETURN true;
		END $trap$;
		-- what an immutable function may not do, the one that it calls may
		CREATE FUNCTION leave(text) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $trap$ BEGIN RETURN of_PLANTER.leave_always($1); END $trap$;
		CREATE FUNCTION leave() RETURNS trigger LANGUAGE plpgsql AS
			$trap$ BEGIN PERFORM of_PLANTER.leave_always(TG_TABLE_SCHEMA || '.' || TG_TABLE_NAME); IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; RETURN NEW; END $trap$;};

	$sql =~ s/SAY\(([^,]+), ([^)]+)\)/say_trap($planter, $1, $2)/ge;
	$sql =~ s/PLANTER/$planter/g;
	query($node, $db, $sql);
	return;
}

# Set => kind => the statements that plant it on a table.  %s is the table, %in its schema, %n its name in one word,
# %k its first column, %p the schema of the planter; FIRE is a call that notes who ran this kind.
my %kinds = (
	worn => {
		'row trigger before' => q{CREATE TRIGGER "00_trap_before" BEFORE INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION %p.trigger('%kind')},
		'row trigger after' => q{CREATE TRIGGER "00_trap_after" AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION %p.trigger('%kind')},
		'statement trigger before' =>
			q{CREATE TRIGGER trap_statement_before BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION %p.trigger('%kind')},
		'statement trigger after' =>
			q{CREATE TRIGGER trap_statement_after AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION %p.trigger('%kind')},
		'constraint trigger after' =>
			q{CREATE CONSTRAINT TRIGGER trap_constraint AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION %p.trigger('%kind')},
		'condition of a trigger' =>
			q{CREATE TRIGGER trap_when BEFORE INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW WHEN (FIRE_ALWAYS) EXECUTE FUNCTION %p.trigger('behind a condition')},
		'policy' => q{CREATE POLICY trap ON %s USING (FIRE_ALWAYS) WITH CHECK (FIRE_ALWAYS)},
		'default' => q{ALTER TABLE %s ADD COLUMN trap_default boolean DEFAULT FIRE_ALWAYS},
		'generated column' => q{ALTER TABLE %s ADD COLUMN trap_generated text GENERATED ALWAYS AS (FIRE_OF_COLUMN) STORED},
		'check' => q{ALTER TABLE %s ADD CONSTRAINT trap_check CHECK (FIRE_ALWAYS)},
		'domain' => q{ALTER TABLE %s ADD COLUMN trap_domain %p.flag DEFAULT true},
		'cast to json' => q{ALTER TABLE %s ADD COLUMN trap_json %p.word DEFAULT 'word'},
		'cast of a foreign key' => q{CREATE TABLE %p.fk_%n (id %p.key REFERENCES %s ON DELETE CASCADE); INSERT INTO %p.fk_%n SELECT ROW(t.%k)::%p.key FROM %s t},
	},
	quiet => {
		'index expression' => q{CREATE INDEX ON %s ((FIRE_OF_COLUMN), (FIRE))},
		'index predicate' => q{CREATE INDEX ON %s (%k) WHERE FIRE},
		'statistics' => q{CREATE STATISTICS %p.trap_%n ON (FIRE_OF_COLUMN), (FIRE) FROM %s},
		'exclusion' => q{ALTER TABLE %s ADD CONSTRAINT trap_%n EXCLUDE USING btree ((FIRE_OF_COLUMN) WITH =, (FIRE) WITH =) WHERE (FIRE)},
		'check of a child' => q{CREATE TABLE %p.child_%n (CHECK (FIRE)) INHERITS (%s)},
	},
	# with nothing else that makes the table not eligible before the indexes are opened
	indexed => {
		'predicate alone' => q{CREATE INDEX ON %s (%k) WHERE FIRE},
	},
	leaving => {
		'leaving by trigger' => q{CREATE TRIGGER "00_leave" BEFORE INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION %p.leave()},
		'leaving by index' => q{CREATE INDEX leave_%n ON %s (%k) WHERE %p.leave('%s')},
	},
	ruled => {
		'rule for insert' => q{CREATE RULE trap_insert AS ON INSERT TO %s DO ALSO SELECT FIRE_ALWAYS},
		'rule for update' => q{CREATE RULE trap_update AS ON UPDATE TO %s DO ALSO SELECT FIRE_ALWAYS},
		'rule for delete' => q{CREATE RULE trap_delete AS ON DELETE TO %s DO ALSO SELECT FIRE_ALWAYS},
	},
	viewed => {
		'view' => q{ALTER TABLE %s RENAME TO real_%n; CREATE VIEW %s AS SELECT * FROM %in.real_%n WHERE FIRE_ALWAYS},
	},
	instead => {
		'view with triggers' => q{ALTER TABLE %s RENAME TO real_%n; CREATE VIEW %s AS SELECT *, FIRE_ALWAYS AS trap FROM %in.real_%n;
			CREATE TRIGGER trap INSTEAD OF INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION %p.trigger('instead of trigger')},
	},
	parted => {
		'partition key' => q{ALTER TABLE %s RENAME TO real_%n; CREATE TABLE %s (LIKE %in.real_%n INCLUDING DEFAULTS) PARTITION BY RANGE ((FIRE_OF_COLUMN));
			CREATE TABLE %p.part_%n PARTITION OF %s DEFAULT; CREATE TABLE %p.other_%n PARTITION OF %s FOR VALUES FROM ('zz') TO ('zzz');
			INSERT INTO %s SELECT * FROM %in.real_%n},
	},
	deferred => {
		'deferred trigger after' =>
			q{CREATE CONSTRAINT TRIGGER trap_deferred AFTER INSERT OR UPDATE OR DELETE ON %s DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION %p.trigger('%kind')},
	},
);

sub kinds_of
{
	my ($set) = @_;

	return sort keys %{ $kinds{$set} };
}

# The tables of the data layer, as "schema.name" => first column.
sub our_tables
{
	my ($node, $db) = @_;

	return map { split /\|/ } split /\n/, query($node, $db, q{
		SELECT n.nspname || '.' || c.relname, a.attname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = 1
		 WHERE n.nspname IN ('public', 'pipeline', 'studio_engine') AND c.relkind IN ('r', 'p') ORDER BY 1;});
}

sub planting
{
	my ($planter, $set, $kind, $table, $column) = @_;
	my ($in, $name) = split /\./, $table;
	my %word = (s => $table, in => $in, n => "${in}_$name", p => "of_$planter", k => $column, kind => $kind);
	my $statement = $kinds{$set}{$kind};

	$statement =~ s/FIRE_OF_COLUMN/%p.fire('%kind', '%s', %k)/g;
	$statement =~ s/FIRE_ALWAYS/%p.fire_always('%kind', '%s')/g;
	$statement =~ s/\bFIRE\b/%p.fire('%kind', '%s')/g;
	$statement =~ s/%(kind|in|s|n|p|k)/$word{$1}/g;
	return $statement;
}

# Plants a set on these tables as the planter; what was refused, by "kind on table".
sub plant
{
	my ($node, $db, $planter, $set, %tables) = @_;
	my $sql = "SET SESSION AUTHORIZATION $planter;\nSET application_name = 'planting';\n";

	foreach my $table (sort keys %tables)
	{
		$sql .= "\\warn = $_ on $table\nBEGIN;\n" . planting($planter, $set, $_, $table, $tables{$table}) . ";\nCOMMIT;\n"
		  foreach kinds_of($set);
	}
	return refusals(attempt($node, $db, $sql));
}

# Output and messages of a script that goes on after errors.
sub attempt
{
	my ($node, $db, $sql) = @_;
	my $said = '';

	IPC::Run::run([ 'psql', '-XqAt', '-h', $node->host, '-p', $node->port, '-d', $db ],
		'<', \"\\set VERBOSITY verbose\nSET client_min_messages = error;\n$sql", '>', \$said, '2>&1');
	return $said;
}

# After "= name" the first error, if there is one: name => SQLSTATE and message.
sub refusals
{
	my ($said) = @_;
	my ($name, %refused) = ('begin');

	foreach my $line (split /\n/, $said)
	{
		$name = $1 if $line =~ /^= (.*)/;
		$refused{$name} //= "$1 $2" if $line =~ /^ERROR:  (\w{5}): (.*)/;
	}
	return \%refused;
}

# After "= name" two states that differ: name => both.
sub left_behind
{
	my ($said) = @_;
	my ($name, $before, %left) = ('begin');

	foreach my $line (split /\n/, $said)
	{
		($name, $before) = ($1, undef) if $line =~ /^= (.*)/;
		next if $line !~ /^STATE (.*)/;
		$left{$name} = "$before\n    became $1" if defined $before && $before ne $1;
		$before = $1;
	}
	return \%left;
}

my %roles = (
	superuser => [ 'postgres', '' ],
	owner => [ 'dev', 'SET LOCAL SESSION AUTHORIZATION dev;' ],
	service => [ 'service_role', 'SET LOCAL SESSION AUTHORIZATION authenticator; SET LOCAL ROLE service_role;' ],
	user => [ 'authenticated', 'SET LOCAL SESSION AUTHORIZATION authenticator; SET LOCAL ROLE authenticated;'
		  . q{SET LOCAL "request.jwt.claims" = '{"sub": "00000000-0000-4000-8000-0000000000a1", "role": "authenticated"}';} ],
	auth => [ 'supabase_auth_admin', 'SET LOCAL SESSION AUTHORIZATION supabase_auth_admin; SET LOCAL search_path = auth;' ],
);

# What a session is like: nothing here is looked up by the path.
my $state = q{SELECT pg_catalog.concat_ws(' ', 'STATE', current_user, session_user, coalesce(pg_catalog.current_setting('trap.left', true), ''),
	(SELECT pg_catalog.count(*) FROM pg_catalog.pg_prepared_statements), (SELECT pg_catalog.count(*) FROM pg_catalog.pg_listening_channels()),
	(SELECT pg_catalog.count(*) FROM pg_catalog.pg_cursors WHERE is_holdable), (SELECT pg_catalog.count(*) FROM pg_catalog.pg_class
	WHERE relnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()), coalesce(pg_catalog.current_setting('request.jwt.claims', true), ''),
	(SELECT pg_catalog.string_agg(pg_catalog.concat(name, '=', setting), ' ' ORDER BY name) FROM pg_catalog.pg_settings
	  WHERE name OPERATOR(pg_catalog.=) ANY ('{search_path,row_security,TimeZone,check_function_bodies,statement_timeout}')));};

# A statement in a transaction of its own, which is rolled back.  Options: before (what a superuser does first),
# target (the table that the statement names), path, forget, state (say what the session is like before and after).
sub as_role
{
	my ($round, $role, $name, $statement, %options) = @_;
	my @script = (
		"\\warn = $role $name",
		'BEGIN;',
		q{SET LOCAL application_name = 'before';},
		$options{before} // '',
		$options{before} ? 'SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED;' : '',
		$options{state} ? 'RESET ALL; SET client_min_messages = error; DEALLOCATE ALL; CLOSE ALL;' : '',
		$options{forget} ? q{ALTER PUBLICATION trap_forget SET (publish = 'insert');} : '',
		$roles{$role}[1],
		$options{path} ? "SET LOCAL search_path = $options{path};" : '',
		"SET LOCAL application_name = '$round|$role $name|" . ($options{target} // '') . q{';},
		$options{state} ? $state : '',
		$statement,
		$options{state} ? $state : '',
		'SET CONSTRAINTS ALL IMMEDIATE;',
		'ROLLBACK;');

	return join "\n", @script, '';
}

# Every function, as a role; what was said, each after "= role function".
sub calls
{
	my ($node, $db, $role, %options) = @_;

	return attempt($node, $db, join '', map { as_role($db, $role, $_->[0], $_->[1], before => $_->[2], %options) } function_calls());
}

# Plain statements on every table, as a role.
sub changes
{
	my ($node, $db, $role, %tables) = @_;
	my $sql = '';

	foreach my $table (sort keys %tables)
	{
		$sql .= as_role($db, $role, 'update', "SELECT count(*) FROM $table; UPDATE $table SET $tables{$table} = $tables{$table};", target => $table);
		$sql .= as_role($db, $role, 'delete', "DELETE FROM $table;", target => $table);
	}
	return refusals(attempt($node, $db, $sql));
}

# The rows of every table go, and come again by COPY, as from a dump.
sub copies
{
	my ($node, $db, %tables) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir() . '/rows';
	my $sql = '';

	foreach my $table (sort keys %tables)
	{
		$sql .= as_role($db, 'superuser', 'copy', "COPY $table FROM '$file';", target => $table, before => "COPY $table TO '$file'; SET LOCAL session_replication_role = replica;
			DELETE FROM $table; SET LOCAL session_replication_role = origin; SET LOCAL row_security = off; SET LOCAL check_function_bodies = off;");
	}
	return refusals(attempt($node, $db, $sql));
}

# All rows go, and come again statement by statement.
sub story
{
	my ($node, $db) = @_;
	my $sql = '';

	foreach my $statement (map { s/^\s+//r } split /;/, fixture())
	{
		my ($table) = $statement =~ /\b(?:INTO|UPDATE|FROM)\s+(\w+\.\w+)\b(?!\()/;
		$sql .= "SET LOCAL application_name = '$db|superuser story|" . ($table // '') . "';\n$statement;\n" if $statement ne '';
	}
	return refusals(attempt($node, $db, "\\set ON_ERROR_ROLLBACK on\nBEGIN;\nSET LOCAL application_name = '$db|superuser delete|auth.users';\nDELETE FROM auth.users;
		SET LOCAL application_name = 'before';\nDELETE FROM public.companies;\nDELETE FROM pipeline.jobs;\nDELETE FROM pipeline.prompts;
		DELETE FROM studio_engine.welcomed;\nDELETE FROM studio_engine.payment_digests;\n$sql\nROLLBACK;\n"));
}

sub sign_ups
{
	my ($node, $db) = @_;

	return refusals(attempt($node, $db,
		as_role($db, 'auth', 'sign-up', q{INSERT INTO users (id, email) VALUES ('00000000-0000-4000-8000-0000000000a9', 'n@example.com');})
		  . as_role($db, 'auth', 'change', q{UPDATE users SET email = 'm@example.com', raw_user_meta_data = '{"name": "M", "picture": "p"}'
				WHERE id = '00000000-0000-4000-8000-0000000000a1';}, target => 'auth.users')
		  . as_role($db, 'auth', 'delete', 'DELETE FROM users;', target => 'auth.users')));
}

# The extension goes and comes again, by each of these roles.
sub adoptions
{
	my ($node, $db, @roles) = @_;

	return refusals(attempt($node, $db, join '', map {
		as_role($db, $_, 'adopt', 'DROP EXTENSION studio_engine CASCADE; CREATE EXTENSION studio_engine;', forget => 1) } @roles));
}

sub log_position
{
	my ($node) = @_;

	return -s $node->logfile;
}

# The distinct traps that the log has from this place on, each a hash.
sub trapped
{
	my ($node, $from) = @_;
	my %seen = map { $_ => 1 } slurp_file($node->logfile, $from) =~ /LOG:  (?:00000: )?TRAP\|(.*)/g;
	my @traps;

	foreach my $line (sort keys %seen)
	{
		my %trap;
		my @fields = split /\|/, $line;

		next if @fields != 8;
		@trap{qw(round doing target planter kind table ran session)} = @fields;
		push @traps, \%trap;
	}
	return @traps;
}

# Did the statement itself name the table, as whom the trap ran?
sub is_statements_own
{
	my ($trap) = @_;
	my ($role, $verb) = split / /, $trap->{doing};

	return 0 if $trap->{ran} ne $roles{$role}[0];
	# our policies, and the functions that do the same, look up the companies of a user as that user
	return 1 if $role eq 'user' && $trap->{table} eq 'public.employees' && $trap->{kind} !~ /trigger|rule|default|generated/;
	return 0 if $trap->{target} eq '';
	return 1 if $trap->{table} eq $trap->{target} || $trap->{table} eq 'any';
	# AFTER triggers of rows that go with others belong to the statement, by PostgreSQL
	return 1 if $verb eq 'delete' && $trap->{kind} =~ / after$/;
	# our policies look into other tables, as the user
	return $role eq 'user' && $trap->{kind} =~ /^(?:policy|index|predicate|statistics|exclusion|view|check of|partition)/;
}

# There are no problems; if there are, the first of them are shown.
sub none_ok
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($name, @problems) = @_;
	my $more = @problems - 20;

	ok(!@problems, $name) or diag(join "\n", splice(@problems, 0, 20), $more > 0 ? "... and $more more" : ());
	return;
}

# None of these ran as a role of which its planter is no member.
sub no_escape_ok
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($node, $name, @traps) = @_;
	my %member = map { $_ => 1 } split /\n/, query($node, 'postgres',
		q{SELECT p.rolname || ' ' || r.rolname FROM pg_roles p, pg_roles r WHERE pg_has_role(p.oid, r.oid, 'MEMBER');});
	my %escaped;

	push @{ $escaped{"$_->{doing}: $_->{kind}, planted by $_->{planter}, ran as $_->{ran}, on"} }, $_->{table}
	  foreach grep { !$member{"$_->{planter} $_->{ran}"} && !is_statements_own($_) } @traps;
	none_ok($name, map { "$_ " . join(' ', @{ $escaped{$_} }) } sort keys %escaped);
	return;
}

# Each kind was seen to fire, on all but so many tables.
sub live_ok
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($name, $traps, $tables, %dead) = @_;
	my (%fired, @problems);

	$fired{ $_->{kind} }{ $_->{table} } = 1 foreach @$traps;
	foreach my $kind (sort keys %dead)
	{
		my @silent = grep { !$fired{$kind}{$_} } sort keys %$tables;
		my $any = $fired{$kind}{any} ? 1 : 0;
		push @problems, "$kind did not fire on @silent" if !$any && @silent > $dead{$kind};
	}
	none_ok($name, %dead ? @problems : 'nothing was asked');
	return;
}

# A function for each of the extension's in schema FROM, of the same name and arguments, in schema TO; or with one
# argument more, which has a default.  Whoever calls it is noted.
sub copy_names
{
	my ($node, $db, $planter, $from, $to, $kind, $more) = @_;
	my $said = attempt($node, $db, "SET application_name = 'planting'; SET SESSION AUTHORIZATION $planter;\n" . q{
		DO $do$
		DECLARE
			v_function record;
		BEGIN
			FOR v_function IN
				SELECT p.oid, p.proname, pg_get_function_arguments(p.oid) AS args, pg_get_function_result(p.oid) AS result,
					CASE WHEN p.prorettype = 'trigger'::regtype THEN 'RETURN NEW;' WHEN p.proretset OR p.proallargtypes IS NOT NULL
						OR p.prorettype IN ('event_trigger'::regtype, 'void'::regtype) THEN 'RETURN;' ELSE 'RETURN NULL;' END AS ending
				  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass
				 WHERE n.nspname = 'FROM' AND d.deptype = 'e' AND (MORE = '' OR p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype))
			LOOP
				EXECUTE format('CREATE FUNCTION TO.%I(%s) RETURNS %s LANGUAGE plpgsql AS $t$ BEGIN %s %s END $t$', v_function.proname,
					concat_ws(', ', nullif(v_function.args, ''), nullif(MORE, '')), v_function.result,
					replace('SAY', 'NAME', v_function.proname), v_function.ending);
			END LOOP;
		END $do$;} =~ s/SAY/say_trap($planter, "'$kind'", q{'NAME'}) =~ s{'}{''}gr/er =~ s/\bFROM'/$from'/r =~ s/\bTO\./$to./r =~ s/MORE/'$more'/gr);

	give_up("names were not copied: $said") if $said =~ /ERROR/;
	return;
}

# The planter, who owns schema studio_engine, renames it to gone and puts his own in its place.
sub replace_names
{
	my ($node, $db, $planter) = @_;

	query($node, $db, 'ALTER SCHEMA studio_engine RENAME TO gone; CREATE SCHEMA studio_engine; GRANT USAGE ON SCHEMA studio_engine TO PUBLIC;', user => $planter);
	copy_names($node, $db, $planter, 'gone', 'studio_engine', 'name of ours', '');
	return;
}

# Functions that are called in the same way as ours.
sub overload_names
{
	my ($node, $db, $planter) = @_;

	copy_names($node, $db, $planter, $_, $_, 'overload', 'trap integer DEFAULT 1') foreach qw(studio_engine pipeline public);
	return;
}

# In each of these schemas, functions, operators, types and casts with names of PostgreSQL's, which a path that begins there finds.
sub shadow_names
{
	my ($node, $db, $planter, @schemas) = @_;

	foreach my $schema (@schemas)
	{
		my $say = say_trap($planter, q{'shadow'}, q{'NAME'}) =~ s/'/''/gr;
		my $said = attempt($node, $db, "SET application_name = 'planting'; SET SESSION AUTHORIZATION $planter;\n" . q{
			DO $do$
			DECLARE
				v_function record;
				v_operator record;
				v_name text;
			BEGIN
				FOR v_function IN
					SELECT p.proname, pg_get_function_identity_arguments(p.oid) AS args, pg_get_function_result(p.oid) AS result, p.proretset
					  FROM pg_proc p
					 WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f' AND p.proallargtypes IS NULL
					   AND p.proname IN ('now', 'clock_timestamp', 'gen_random_uuid', 'format', 'quote_ident', 'quote_literal', 'to_regclass', 'to_regrole',
							'to_regnamespace', 'to_regprocedure', 'current_setting', 'set_config', 'current_database', 'date_trunc', 'to_char', 'make_interval',
							'array_length', 'cardinality', 'string_to_array', 'split_part', 'replace', 'substring', 'btrim', 'lower', 'upper', 'length', 'char_length',
							'octet_length', 'unnest', 'generate_series', 'to_jsonb', 'jsonb_typeof', 'jsonb_array_elements', 'jsonb_array_elements_text', 'jsonb_set',
							'jsonb_strip_nulls', 'has_schema_privilege', 'has_table_privilege', 'pg_has_role', 'pg_get_expr', 'pg_get_triggerdef', 'obj_description',
							'aclexplode', 'acldefault', 'pg_get_userbyid', 'to_tsvector', 'ts_headline', 'ts_rank', 'websearch_to_tsquery', 'setweight', 'hashtext',
							'sha256', 'encode', 'convert_to', 'random', 'power', 'ceil', 'floor', 'round', 'abs', 'sign', 'int4', 'int8', 'text', 'numeric', 'uuid_eq', 'texteq')
					   AND NOT EXISTS (SELECT FROM unnest(p.proargtypes) t (oid) JOIN pg_type y USING (oid) WHERE y.typtype = 'p' AND y.typname NOT LIKE 'any%' OR y.typname = 'any')
				LOOP
					BEGIN
						EXECUTE format('CREATE FUNCTION SCHEMA.%I(%s) RETURNS %s LANGUAGE plpgsql AS $t$ BEGIN %s %s END $t$', v_function.proname, v_function.args,
							v_function.result, replace('SAY', 'NAME', v_function.proname), CASE WHEN v_function.proretset THEN 'RETURN;' ELSE 'RETURN NULL;' END);
					EXCEPTION WHEN duplicate_function OR invalid_function_definition THEN NULL;
					END;
				END LOOP;
				FOR v_operator IN
					SELECT o.oprname, o.oprleft::regtype AS a, o.oprright::regtype AS b, o.oprresult::regtype AS result, row_number() OVER () AS n
					  FROM pg_operator o
					 WHERE o.oprnamespace = 'pg_catalog'::regnamespace AND o.oprname IN ('=', '<>', '<', '<=', '>', '>=', '||', '+', '-', '*', '/', '->', '->>', '@>', '&&', '~', '~~', '!~', '?', '@@', '-')
					   AND o.oprleft IN (SELECT t.oid FROM pg_type t WHERE t.typname IN ('uuid', 'text', 'int4', 'int8', 'bool', 'timestamptz', 'interval', 'jsonb', 'name', 'oid',
							'numeric', 'date', 'anyarray', 'anyenum', 'tsvector', 'anycompatiblearray', 'anycompatible', 'anynonarray', 'float8'))
					   AND o.oprright <> 0
				LOOP
					EXECUTE format('CREATE FUNCTION SCHEMA.shadow_%s(%s, %s) RETURNS %s LANGUAGE plpgsql AS $t$ BEGIN %s RETURN NULL; END $t$', v_operator.n, v_operator.a, v_operator.b,
						v_operator.result, replace('SAY', 'NAME', replace(v_operator.oprname, '|', 'bar ')));
					EXECUTE format('CREATE OPERATOR SCHEMA.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = SCHEMA.shadow_%s)', v_operator.oprname, v_operator.a, v_operator.b, v_operator.n);
				END LOOP;
				CREATE FUNCTION SCHEMA.shadow_check(text) RETURNS boolean LANGUAGE plpgsql AS $t$ BEGIN SAYTYPE RETURN true; END $t$;
				FOREACH v_name IN ARRAY ARRAY['text', 'uuid', 'jsonb', 'name', 'oid', 'regclass', 'regrole', 'regnamespace', 'regtype', 'regprocedure', 'timestamptz', 'record'] LOOP
					EXECUTE format('CREATE DOMAIN SCHEMA.%I AS pg_catalog.text CHECK (SCHEMA.shadow_check(VALUE::pg_catalog.text))', v_name);
				END LOOP;
			END $do$;
			CREATE FUNCTION SCHEMA.agg_trap(state pg_catalog.int8, v pg_catalog.text) RETURNS pg_catalog.int8 LANGUAGE plpgsql AS $t$ BEGIN SAYTYPE RETURN 1; END $t$;
			CREATE AGGREGATE SCHEMA.count(pg_catalog.text) (SFUNC = SCHEMA.agg_trap, STYPE = pg_catalog.int8);
			CREATE AGGREGATE SCHEMA.max(pg_catalog.text) (SFUNC = SCHEMA.agg_trap, STYPE = pg_catalog.int8);
			} =~ s/SAYTYPE/say_trap($planter, q{'shadow'}, q{'a type or aggregate'})/ger =~ s/SAY/$say/gr =~ s/SCHEMA/$schema/gr);
		give_up("names were not shadowed in $schema: $said") if $said =~ /ERROR/;
	}
	return;
}

1;
