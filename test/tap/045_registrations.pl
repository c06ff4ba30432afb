# Fifty clients register files in one session and load them in bulk into several,
# move and delete them: every counter is exact in the end, and nobody deadlocks.
#
# Pitfall: in READ COMMITTED no statement may fail; a counter that is right after
# an error proves nothing.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Utils;
use StudioTest;
use Test::More;

my $clients = 50;
my $turns = 20;
my $node = new_cluster('registrations', 'max_connections = 80');
my $dir = PostgreSQL::Test::Utils::tempdir();

prepare_database($node, 'many');
query($node, 'many', q{
	SELECT public.create_module_content('Module') AS content_id \gset
	INSERT INTO public.mm_multimedia_sessions (session_id, content_id)
		SELECT md5(i::text)::uuid, :'content_id' FROM generate_series(0, 9) i;});

# The scripts of the clients; session 0 is the one that all of them register in.
my %script = (
	one => q{SELECT public.register_multimedia_asset(md5('0')::uuid, NULL, 'video', 'v.mp4');},
	bulk => q{SELECT public.register_multimedia_assets(md5('0')::uuid,
		'[{"asset_type": "audio", "file_path": "a.mp3"}, {"asset_type": "slide", "file_path": "s.png"}]');},
	several => q{INSERT INTO public.mm_multimedia_assets (session_id, asset_type)
		SELECT md5((random() * 9)::int::text)::uuid, (ARRAY['video', 'audio', 'slide', 'image'])[1 + (random() * 3)::int] FROM generate_series(1, 20);},
	status => q{SELECT public.update_session_status(md5('0')::uuid, 'processing', (random() * 90)::numeric);},
	delete => q{DELETE FROM public.mm_multimedia_assets WHERE asset_id IN
		(SELECT asset_id FROM public.mm_multimedia_assets WHERE session_id <> md5('0')::uuid ORDER BY asset_id LIMIT 3 FOR UPDATE SKIP LOCKED);},
	move => q{UPDATE public.mm_multimedia_assets SET session_id = md5((1 + random() * 8)::int::text)::uuid WHERE asset_id IN
		(SELECT asset_id FROM public.mm_multimedia_assets WHERE session_id <> md5('0')::uuid ORDER BY asset_id DESC LIMIT 3 FOR UPDATE SKIP LOCKED);});

# Runs scripts with all clients at once; each turn of a client takes one of them.
sub run_clients
{
	my ($name, @names) = @_;
	my @files = map { my $file = "$dir/$_.sql"; PostgreSQL::Test::Utils::append_to_file($file, $script{$_} . "\n") unless -e $file; ('-f', $file) } @names;
	my ($out, $err);

	IPC::Run::run([ 'pgbench', '-n', '-h', $node->host, '-p', $node->port, '-U', 'postgres', '-c', $clients, '-j', 4, '-t', $turns, @files, 'many' ],
		'>', \$out, '2>', \$err);
	# pgbench counts a deadlock as a failed turn and no error
	ok($? == 0 && $err !~ /error|abort/i, "$name: no statement fails") or diag($err);
	my ($done) = $out =~ /number of transactions actually processed: (\d+)/;
	is($done, $clients * $turns, "$name: every client had all its turns, none of them lost to a deadlock");
	return;
}

sub counters_ok
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($name) = @_;

	is(query($node, 'many', q{
		SELECT count(*) FROM public.mm_multimedia_sessions s
		 WHERE (s.total_assets_generated, s.video_files_generated, s.audio_files_generated, s.slides_generated) IS DISTINCT FROM
			   (SELECT (count(*)::int, count(*) FILTER (WHERE asset_type = 'video')::int, count(*) FILTER (WHERE asset_type = 'audio')::int,
						count(*) FILTER (WHERE asset_type = 'slide')::int) FROM public.mm_multimedia_assets a WHERE a.session_id = s.session_id)}),
		'0', "$name: the counters of every session are exact");
	return;
}

run_clients('one session', 'one');
is(query($node, 'many', q{SELECT total_assets_generated, video_files_generated FROM public.mm_multimedia_sessions WHERE session_id = md5('0')::uuid}),
	join('|', ($clients * $turns) x 2), 'one session: as many files as were registered');
counters_ok('one session');

run_clients('bulk loads', 'one', 'bulk', 'several', 'status');
counters_ok('bulk loads');

run_clients('moves and deletes', 'several', 'move', 'delete', 'bulk');
counters_ok('moves and deletes');

is(query($node, 'many', q{SELECT progress_percentage BETWEEN 1 AND 90 AND status = 'processing' FROM public.mm_multimedia_sessions WHERE session_id = md5('0')::uuid}),
	't', 'progress never went back to where it began');

$node->stop;
done_testing();
