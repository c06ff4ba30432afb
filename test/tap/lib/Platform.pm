# A stand-in nearer to Supabase than the one that we ship, test/lib/platform.sql, and the statements of its auth server.
#
# Pitfall: the auth server works as supabase_auth_admin, with search_path auth, names no schema, and writes a user in more
# than one statement: what a trigger sees first is not the whole.

package Platform;

use strict;
use warnings;

use Exporter 'import';
use File::Basename;
use PostgreSQL::Test::Utils;
use StudioTest;
use Test::More;

our @EXPORT = qw(new_platform platform_database as_auth_server sign_up sign_in anonymous_sign_in become_permanent soft_delete hard_delete
  api_rights);

# A cluster whose superuser is supabase_admin.
sub new_platform
{
	my ($name, @settings) = @_;
	my $node = new_cluster_of('supabase_admin', $name, @settings);

	query($node, 'postgres', 'CREATE ROLE postgres LOGIN CREATEROLE CREATEDB REPLICATION BYPASSRLS');
	return $node;
}

# A database of postgres with the stand-in.
sub platform_database
{
	my ($node, $db) = @_;

	query($node, 'postgres', qq(CREATE DATABASE "$db" OWNER postgres));
	$node->command_ok([ 'psql', '-XqAt', '-d', $db, '-f', dirname(__FILE__) . '/../../lib/platform.sql' ], "the platform is in $db");
	return;
}

# One transaction of the auth server.
sub as_auth_server
{
	my ($node, $db, $sql) = @_;

	return query($node, $db, "BEGIN; $sql COMMIT;", user => 'supabase_auth_admin');
}

# By e-mail and password, or by a provider.  Metadata is JSON.
sub sign_up
{
	my ($node, $db, $id, $email, $metadata, $provider) = @_;

	$provider //= 'email';
	as_auth_server($node, $db, qq{
		INSERT INTO users (instance_id, id, aud, role, email, encrypted_password, email_confirmed_at, invited_at, confirmation_token,
			confirmation_sent_at, recovery_token, email_change_token_new, email_change, last_sign_in_at, raw_app_meta_data, raw_user_meta_data,
			is_super_admin, created_at, updated_at, phone, phone_change, is_sso_user, is_anonymous)
		VALUES ('00000000-0000-0000-0000-000000000000', '$id', 'authenticated', 'authenticated', '$email', 'hash', NULL, NULL, 'token',
			now(), '', '', '', NULL, '{}', '$metadata', NULL, now(), now(), NULL, '', false, false);
		INSERT INTO identities (provider_id, user_id, identity_data, provider, last_sign_in_at, created_at, updated_at)
		VALUES ('$id', '$id', '$metadata'::jsonb || jsonb_build_object('email', '$email', 'sub', '$id'), '$provider', now(), now(), now());
		UPDATE users SET raw_app_meta_data = '{"provider": "$provider", "providers": ["$provider"]}', updated_at = now() WHERE id = '$id';
		INSERT INTO audit_log_entries (instance_id, id, payload, created_at, ip_address)
		VALUES ('00000000-0000-0000-0000-000000000000', gen_random_uuid(), '{"action": "user_signedup"}', now(), '');
		UPDATE users SET email_confirmed_at = now(), confirmation_token = '', updated_at = now() WHERE id = '$id';
	});
	sign_in($node, $db, $id);
	return;
}

# A session and a token, and the time in the row of the user.
sub sign_in
{
	my ($node, $db, $id) = @_;

	as_auth_server($node, $db, qq{
		UPDATE users SET last_sign_in_at = now(), updated_at = now() WHERE id = '$id';
		WITH session AS (INSERT INTO sessions (id, user_id, created_at, updated_at, aal) VALUES (gen_random_uuid(), '$id', now(), now(), 'aal1') RETURNING id)
		INSERT INTO refresh_tokens (instance_id, token, user_id, revoked, created_at, updated_at, session_id)
		SELECT '00000000-0000-0000-0000-000000000000', gen_random_uuid(), '$id', false, now(), now(), id FROM session;
		UPDATE identities SET last_sign_in_at = now(), updated_at = now() WHERE user_id = '$id';
	});
	return;
}

sub anonymous_sign_in
{
	my ($node, $db, $id) = @_;

	as_auth_server($node, $db, qq{
		INSERT INTO users (instance_id, id, aud, role, email, raw_app_meta_data, raw_user_meta_data, created_at, updated_at, is_sso_user, is_anonymous)
		VALUES ('00000000-0000-0000-0000-000000000000', '$id', 'authenticated', 'authenticated', NULL, '{}', '{}', now(), now(), false, true);
	});
	sign_in($node, $db, $id);
	return;
}

# The address is asked for, confirmed with a link, and gets an identity; the name comes with it.
sub become_permanent
{
	my ($node, $db, $id, $email, $metadata) = @_;

	as_auth_server($node, $db, qq{
		UPDATE users SET email_change = '$email', email_change_token_new = 'token', email_change_sent_at = now() WHERE id = '$id';});
	as_auth_server($node, $db, qq{
		INSERT INTO identities (provider_id, user_id, identity_data, provider, last_sign_in_at, created_at, updated_at)
		VALUES ('$id', '$id', jsonb_build_object('email', '$email', 'sub', '$id'), 'email', now(), now(), now());
		UPDATE users SET raw_app_meta_data = '{"provider": "email", "providers": ["email"]}' WHERE id = '$id';
		UPDATE users SET email_change_confirm_status = 0, email = '$email', email_change = '', email_change_token_new = '', is_anonymous = false WHERE id = '$id';
		UPDATE users SET email_confirmed_at = now() WHERE id = '$id';});
	as_auth_server($node, $db, qq{UPDATE users SET raw_user_meta_data = raw_user_meta_data || '$metadata', updated_at = now() WHERE id = '$id';});
	return;
}

# What identifies the user is replaced by digests, and then the metadata goes; the row stays.
sub soft_delete
{
	my ($node, $db, $id) = @_;

	as_auth_server($node, $db, qq{
		UPDATE users SET email = encode(sha256(convert_to(id::text || coalesce(email, ''), 'UTF8')), 'base64'), phone = NULL, encrypted_password = '',
			email_change = encode(sha256(convert_to(id::text || coalesce(email_change, ''), 'UTF8')), 'base64'), phone_change = '', confirmation_token = '',
			recovery_token = '', email_change_token_current = '', email_change_token_new = '', phone_change_token = '', deleted_at = now()
		 WHERE id = '$id';
		UPDATE users SET raw_user_meta_data = '{}', updated_at = now() WHERE id = '$id';
		UPDATE users SET raw_app_meta_data = '{}', updated_at = now() WHERE id = '$id';
		UPDATE identities SET identity_data = '{}' WHERE user_id = '$id';
		UPDATE identities SET provider_id = encode(sha256(convert_to(provider_id, 'UTF8')), 'base64') WHERE user_id = '$id';
		DELETE FROM sessions WHERE user_id = '$id';
	});
	return;
}

sub hard_delete
{
	my ($node, $db, $id) = @_;

	as_auth_server($node, $db, qq{DELETE FROM users WHERE users.id = '$id';});
	return;
}

# What the API roles and PUBLIC may do with the tables, sequences, schemas and functions of these schemas: one right a line.
sub api_rights
{
	my ($node, $db, @schemas) = @_;
	my $in = join ', ', map { "'$_'::regnamespace" } @schemas;

	return query($node, $db, qq{
		WITH objects (object, acl) AS (
			SELECT c.oid::regclass::text, coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner))
			  FROM pg_class c WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S') AND c.relnamespace IN ($in)
			UNION ALL
			SELECT c.oid::regclass || '.' || a.attname, a.attacl FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.relnamespace IN ($in)
			UNION ALL
			SELECT p.oid::regprocedure::text, coalesce(p.proacl, acldefault('f', p.proowner)) FROM pg_proc p WHERE p.pronamespace IN ($in)
			UNION ALL
			SELECT n.nspname, n.nspacl FROM pg_namespace n WHERE n.oid IN ($in) AND n.nspname <> 'public'
		)
		SELECT o.object || ': ' || a.privilege_type || ' to ' || CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END
		  FROM objects o, LATERAL aclexplode(o.acl) a
		 WHERE a.grantee IN (0, 'anon'::regrole, 'authenticated'::regrole, 'service_role'::regrole) ORDER BY 1;});
}

1;
