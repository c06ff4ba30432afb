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
  attempt refusals as_role calls changes story sign_ups adoptions
  log_position trapped no_escape_ok live_ok
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
		CREATE FUNCTION trigger() RETURNS trigger LANGUAGE plpgsql AS
			$trap$ BEGIN SAY(TG_ARGV[0], TG_TABLE_SCHEMA || '.' || TG_TABLE_NAME) IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; RETURN NEW; END $trap$;
		CREATE TYPE word AS ENUM ('word');
		CREATE FUNCTION word_json(word) RETURNS json LANGUAGE plpgsql AS $trap$ BEGIN SAY('cast to json', 'any') RETURN '1'; END $trap$;
		CREATE CAST (word AS json) WITH FUNCTION word_json(word);
		CREATE TYPE key AS (id uuid);
		CREATE FUNCTION key_uuid(key) RETURNS uuid IMMUTABLE LANGUAGE plpgsql AS
			$trap$ BEGIN SAY('cast of a foreign key', 'any') RETURN $1.id; END $trap$;
		CREATE CAST (key AS uuid) WITH FUNCTION key_uuid(key) AS IMPLICIT;
		CREATE DOMAIN flag AS boolean CHECK (fire_always('domain', 'any'));};

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
	# with nothing else that closes the direct road before the indexes are opened
	indexed => {
		'predicate alone' => q{CREATE INDEX ON %s (%k) WHERE FIRE},
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

my %roles = (
	superuser => [ 'postgres', '' ],
	owner => [ 'dev', 'SET LOCAL SESSION AUTHORIZATION dev;' ],
	service => [ 'service_role', 'SET LOCAL SESSION AUTHORIZATION authenticator; SET LOCAL ROLE service_role;' ],
	user => [ 'authenticated', 'SET LOCAL SESSION AUTHORIZATION authenticator; SET LOCAL ROLE authenticated;'
		  . q{SET LOCAL "request.jwt.claims" = '{"sub": "00000000-0000-4000-8000-0000000000a1", "role": "authenticated"}';} ],
	auth => [ 'supabase_auth_admin', 'SET LOCAL SESSION AUTHORIZATION supabase_auth_admin; SET LOCAL search_path = auth;' ],
);

# A statement in a transaction of its own, which is rolled back.  Options: before (what a superuser does first),
# target (the table that the statement names), path, forget.
sub as_role
{
	my ($round, $role, $name, $statement, %options) = @_;
	my @script = (
		"\\warn = $role $name",
		'BEGIN;',
		q{SET LOCAL application_name = 'before';},
		$options{before} // '',
		'SET CONSTRAINTS ALL IMMEDIATE;',
		'SET CONSTRAINTS ALL DEFERRED;',
		$options{forget} ? q{ALTER PUBLICATION trap_forget SET (publish = 'insert');} : '',
		$roles{$role}[1],
		$options{path} ? "SET LOCAL search_path = $options{path};" : '',
		"SET LOCAL application_name = '$round|$role $name|" . ($options{target} // '') . q{';},
		$statement,
		'SET CONSTRAINTS ALL IMMEDIATE;',
		'ROLLBACK;');

	return join "\n", @script, '';
}

# Every function, as a role; what was refused, by "role function".
sub calls
{
	my ($node, $db, $role, %options) = @_;

	return refusals(attempt($node, $db, join '', map { as_role($db, $role, $_->[0], $_->[1], before => $_->[2], %options) } function_calls()));
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
		SET LOCAL application_name = 'before';\nDELETE FROM public.companies;\nDELETE FROM pipeline.jobs;\nDELETE FROM pipeline.prompts;\n$sql\nROLLBACK;\n"));
}

sub sign_ups
{
	my ($node, $db) = @_;

	return refusals(attempt($node, $db,
		as_role($db, 'auth', 'sign-up', q{INSERT INTO users (id, email) VALUES ('00000000-0000-4000-8000-0000000000a9', 'n@example.com');})
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
	ok(!%escaped, $name) or diag(map { "$_ " . join(' ', @{ $escaped{$_} }) . "\n" } sort keys %escaped);
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
	ok(!@problems && %dead, $name) or diag(join "\n", @problems);
	return;
}

1;
