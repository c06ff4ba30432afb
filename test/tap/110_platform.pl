# The extension on a platform as Supabase makes it (test/lib/platform.sql): installed by role postgres, who is no superuser, into
# schema public and into another one; what the auth server does to users; every function as the API roles call it, with their
# time limits, with safeupdate, and with a log that keeps nothing.
#
# Pitfall: with safeupdate the statement of a function that is refused may be one that a single call reaches.  So each function
# is called, in a session of its own, and each call is seen to succeed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use Platform;
use StudioCalls;
use StudioTest;
use Test::More;
use Traps;

my $node = new_platform('on_platform');

sub id
{
	my ($n) = @_;

	return sprintf '00000000-0000-4000-8000-%012d', $n;
}

# --- users, in both schemas ------------------------------------------------------------

foreach my $schema (qw(public studio))
{
	my $db = "in_$schema";

	platform_database($node, $db);
	query($node, $db, 'CREATE SCHEMA studio; GRANT USAGE ON SCHEMA studio TO anon, authenticated, service_role;', user => 'postgres');
	sql_ok($node, $db, "CREATE EXTENSION studio_engine SCHEMA $schema", "$schema: postgres installs", user => 'postgres');
	is(query($node, $db, 'SELECT rolsuper FROM pg_roles WHERE rolname = current_user', user => 'postgres'), 'f', '... and is no superuser');
	is(query($node, $db, 'SELECT count(*) FROM studio_engine.lint()'), '0', "$schema: lint() finds nothing");

	# name, picture and credits of a user
	my $has = sub {
		return query($node, $db, sprintf q{SELECT coalesce(p.display_name, '-'), coalesce(p.avatar_url, '-'), a.balance, a.entries
			FROM %1$s.profiles p JOIN %1$s.credit_accounts a ON a.user_id = p.id WHERE p.id = '%2$s';}, $schema, id($_[0]));
	};

	sign_up($node, $db, id(1), 'one@example.com', '{"name": "One"}');
	is($has->(1), 'One|-|10|1', "$schema: a sign-up by e-mail");
	sign_in($node, $db, id(1));
	is($has->(1), 'One|-|10|1', '... and signing in changes nothing');
	sign_up($node, $db, id(2), 'two@example.com', '{"full_name": "Two", "avatar_url": "https://example.com/2"}', 'github');
	is($has->(2), 'Two|https://example.com/2|10|1', "$schema: a sign-up by a provider");
	anonymous_sign_in($node, $db, id(3));
	is($has->(3), '-|-|0|0', "$schema: an anonymous user has no credits");
	become_permanent($node, $db, id(3), 'three@example.com', '{"name": "Three"}');
	is($has->(3), 'Three|-|10|1', '... until he is a permanent one');

	# work of two who will be deleted: a hold by reference, a job with a hold that a worker has
	query($node, $db, sprintf q{
		INSERT INTO %1$s.projects (user_id, title, prompt_text, niche_preset) VALUES ('%2$s', 't', 'p', 'facts'), ('%3$s', 't', 'p', 'facts');
		SELECT %1$s.create_job(id, 3) FROM %1$s.projects;
		SELECT %1$s.hold_credits('%2$s', 2, 'a chat'), %1$s.hold_credits('%3$s', 2, 'a chat');
		SELECT * FROM %1$s.claim_jobs('jobs', 'w', 2);}, $schema, id(1), id(2));
	is($has->(1), 'One|-|5|3', "$schema: credits are held");

	soft_delete($node, $db, id(1));
	is($has->(1), '-|-|5|3', "$schema: a soft deletion takes name and picture, and leaves the books");
	is(query($node, $db, sprintf q{SELECT status FROM %s.jobs WHERE user_id = '%s'}, $schema, id(1)), 'QUEUED', '... and the job');
	is(query($node, $db, sprintf q{SELECT %s.ensure_profile('%s') ->> 'display_name' IS NULL}, $schema, id(1)), 't', '... also when the profile is repaired');
	is($has->(1), '-|-|5|3', '... and gives no credits');
	sign_up($node, $db, id(4), 'one@example.com', '{"name": "One again"}');
	is($has->(4), 'One again|-|0|0', '... nor does the same address, which is free again');
	# the statement that README.md has under "Delete a user"; the one of the worker is asked to stop
	is(query($node, $db, sprintf q{SELECT string_agg(c.done::text, ' ') FROM %1$s.cancel_jobs('jobs', ARRAY(SELECT id FROM %1$s.jobs
		WHERE user_id = '%2$s' AND status NOT IN ('READY', 'FAILED'))) AS c;}, $schema, id(1)), 'true', '... whose work can be cancelled');
	anonymous_sign_in($node, $db, id(5));
	soft_delete($node, $db, id(5));
	is($has->(5), '-|-|0|0', "$schema: a soft deletion of an anonymous user gives nothing");

	hard_delete($node, $db, id($_)) foreach 1, 2;
	is(query($node, $db, sprintf q{SELECT (SELECT count(*) FROM %1$s.profiles), (SELECT count(*) FROM %1$s.jobs), (SELECT count(*) FROM %1$s.credit_accounts),
		(SELECT count(*) FROM studio_engine.attempts), (SELECT count(*) FROM studio_engine.expiring_holds);}, $schema), '3|0|3|0|0',
		"$schema: who is deleted with open holds and a lease leaves nothing");
	is(query($node, $db, "SELECT count(*) FROM $schema.verify_credit_ledger()"), '0', "$schema: the books are sound");
	alive_ok($node, $db, $schema, $schema);
}

# --- every function as the API roles call it ---------------------------------------------

platform_database($node, 'calls');
query($node, 'calls', 'CREATE EXTENSION studio_engine', user => 'postgres');
query($node, 'calls', fixture());
is(join(' ', calls_left_out($node, 'calls')), '', 'every function has a call');

my $user = q{SET LOCAL "request.jwt.claims" = '{"sub": "00000000-0000-4000-8000-0000000000a1", "role": "authenticated"}';};
my %roles = (
	anon => q{SET LOCAL statement_timeout = '3s';},
	authenticated => q{SET LOCAL statement_timeout = '8s';} . $user,
	service_role => q{SET LOCAL statement_timeout = '8s';},
);

# Everything that a role may call, as in a request, with what was refused as the answer.
sub refused_calls
{
	my ($role) = @_;
	my $script = '';

	foreach my $call (function_calls())
	{
		my ($name, $sql, $before) = @$call;

		$script .= qq{\\warn = $name
			\\c
			SET client_min_messages = error;
			BEGIN; $before SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED;
			SET LOCAL SESSION AUTHORIZATION authenticator; SET LOCAL lock_timeout = '8s'; $roles{$role} SET LOCAL ROLE $role;
			$sql SET CONSTRAINTS ALL IMMEDIATE; ROLLBACK;\n};
	}
	local $ENV{PGOPTIONS} = '-c session_preload_libraries=safeupdate';
	return refusals(attempt($node, 'calls', $script));
}

# function name => may he
sub rights
{
	my ($role) = @_;

	return map { split /\|/ } split /\n/, query($node, 'calls', qq{
		SELECT CASE WHEN p.pronamespace = 'public'::regnamespace THEN '' ELSE p.pronamespace::regnamespace || '.' END || p.proname,
		       has_schema_privilege('$role', p.pronamespace, 'USAGE') AND has_function_privilege('$role', p.oid, 'EXECUTE')
		  FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid
		 WHERE d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
		   AND d.refobjid = (SELECT e.oid FROM pg_extension e WHERE e.extname = 'studio_engine');});
}

foreach my $role (sort keys %roles)
{
	my $refused = refused_calls($role);
	my %may = rights($role);
	my @called = map { $_->[0] } function_calls();

	ok((grep { $may{$_} eq 't' } @called) > 0, "$role may call something");
	none_ok("$role: what he may call succeeds", map { "$_: $refused->{$_}" } grep { $may{$_} eq 't' && $refused->{$_} } @called);
	none_ok("$role: all else is refused", map { "$_: " . ($refused->{$_} // 'not refused') } grep { $may{$_} eq 'f' && ($refused->{$_} // '') !~ /^42501/ } @called);
}

# The library is there, and so are the settings, in a session of PostgREST's role.
is(query($node, 'calls', q{SELECT concat_ws(' ', current_setting('statement_timeout'), current_setting('lock_timeout'), current_setting('log_min_messages'))},
	user => 'authenticator'), '8s 8s fatal', 'a session of authenticator is as on the platform');
foreach my $statement ('UPDATE public.profiles SET display_name = NULL', 'DELETE FROM public.projects',
	'WITH gone AS (DELETE FROM public.projects RETURNING id) SELECT count(*) FROM gone')
{
	refused_ok($node, 'calls', "SET ROLE authenticated; $statement;", '21000', [qr/requires a WHERE clause/], "$statement is refused there", user => 'authenticator');
}

# Sign-ups, deletions and triggers do their work in such a session too.
{
	query($node, 'calls', q{ALTER DATABASE calls SET session_preload_libraries = 'safeupdate'});
	refused_ok($node, 'calls', 'DELETE FROM public.projects', '21000', [], 'the library is in every session of the database');
	sign_up($node, 'calls', id(7), 'seven@example.com', '{"name": "Seven"}');
	soft_delete($node, 'calls', id(7));
	hard_delete($node, 'calls', '00000000-0000-4000-8000-0000000000a1');
	is(query($node, 'calls', 'SELECT count(*) FROM public.jobs'), '0', 'a user is deleted with all that he has, with safeupdate');
	alive_ok($node, 'calls', 'with safeupdate');
}
is(query($node, 'calls', 'SELECT count(*) FROM public.verify_credit_ledger()'), '0', 'the books are sound');

$node->stop;
done_testing();
