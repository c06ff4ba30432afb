# A model of the credit books: what every operation must answer and enter, from
# the contract alone.  It is given the journal of a run and the ledger that the
# run left, does the journal again in the order in which the locks were held,
# and notes whatever is not as it must be.
#
# An operation is a hash: operation, user, other (the second user), job, amount,
# name (a key or payment), extra, expires (microseconds), priority, lasts
# (microseconds, of a hold), result, refused (the result is a SQLSTATE), spans
# (the entries that it made: user:from-to), entries (of the account, where it only
# read), m0 and m1 (moments around it), t0 and t1 (clock around it, microseconds).
#
# Pitfalls:
# - The moment m1 of an operation that succeeded was drawn under its locks, so
#   moments order whatever touched the same row.  An error gave up its locks
#   before: it must be explained by a state at some moment from m0 to m1.
# - Which credit had expired is decided by a clock between t0 and t1.  So expire
#   entries are taken as they are, but each must be legal, and none may be
#   missing for credit that had expired by t0.  It is the same with holds that have
#   expired and are returned to who lacks credit.
# - A row that somebody inserts is not seen, and not waited for, by who looks for
#   it: "unknown" is accepted for a while after the row was made.

package CreditModel;

use strict;
use warnings;

use JSON::PP ();
use List::Util qw(any max min sum0);

my $never = 9e18;
my $int_max = 2147483647;
my $unseen = 5e6;    # how long a new row may stay unseen, microseconds
my $week = 7 * 86400e6;

# ledger: user => its entries in order, each a hash: no, type, amount,
# balance_after, reverses (a number, of another user after his and a colon), key,
# payment, expires, priority, reference, transfer (words), created.
sub new
{
	my ($class, %args) = @_;
	my $self = bless {
		ledger => $args{ledger}, users => {}, jobs => {}, payments => {},
		problems => [], outcomes => {}, wanted => {}, seen => {} }, $class;

	foreach my $user (1 .. $args{users})
	{
		$self->{users}{$user} = {
			no => $user, balance => 0, reserved => 0, debt => 0, entries => 0,
			expires => {}, left => {}, lots => {}, takings => {}, holds => {}, parts => {},
			keys => {}, empty => {}, used => 0, purchased => 0, granted => 0 };
		$self->book($self->{users}{$user}, 'grant', 10, key => 'welcome', kind => 'grant', born => -$never);
	}
	$self->{jobs}{$_} = new_job(1 + ($_ - 1) % $args{users}, -$never) foreach 1 .. $args{jobs};
	return $self;
}

sub new_job
{
	my ($user, $born) = @_;

	return { user => $user, status => 'QUEUED', reserved => 0, final => undef,
		hold => undef, open => 0, taken => 0, charged => 0, available => 0, refundable => 0, born => $born };
}

sub problem
{
	my ($self, $op, $words) = @_;
	my $call = $op ? join(' ', map { "$_=" . ($op->{$_} // 'NULL') }
		  qw(client number operation user other job amount name extra expires priority lasts result spans entries m0 m1 t0 t1)) : 'at the end';

	push @{ $self->{problems} }, "$words ($call)";
	return;
}

# --- lots ------------------------------------------------------------------------

# The smallest priority first, then the earliest expiry, then the oldest.
sub in_burn_order
{
	my ($user, @lots) = @_;
	my ($lots, $expires) = @$user{qw(lots expires)};

	return sort { $lots->{$a}{priority} <=> $lots->{$b}{priority} || $expires->{$a} <=> $expires->{$b} || $a <=> $b } @lots;
}

# Lots with something left, in burn order.
sub live_lots
{
	my ($user) = @_;

	return in_burn_order($user, keys %{ $user->{left} });
}

sub draw
{
	my ($user, $lot, $amount) = @_;
	my $drawn = min($amount, $user->{left}{$lot} // 0);

	return 0 if $drawn == 0;
	$user->{left}{$lot} -= $drawn;
	delete $user->{left}{$lot} if $user->{left}{$lot} == 0;
	return $drawn;
}

# Takes credit in burn order; returns what came from which lot.
sub burn
{
	my ($user, $amount) = @_;
	my @takings;

	foreach my $lot (live_lots($user))
	{
		last if $amount == 0;
		my $drawn = draw($user, $lot, $amount);
		push @takings, [ $lot, $drawn ];
		$amount -= $drawn;
	}
	$user->{debt} += $amount;
	return \@takings;
}

# Credit comes in or back; it covers debt first.
sub fill
{
	my ($user, $lot, $amount) = @_;
	my $covered = min($amount, $user->{debt});

	$user->{debt} -= $covered;
	$user->{left}{$lot} = ($user->{left}{$lot} // 0) + $amount - $covered if $amount > $covered;
	return;
}

# What has expired by then and is still in the balance.
sub expired
{
	my ($user, $time) = @_;

	return sum0(map { $user->{left}{$_} } grep { $user->{expires}{$_} <= $time } keys %{ $user->{left} });
}

# What can be spent at this time.
sub spendable
{
	my ($user, $time) = @_;

	return $user->{balance} - expired($user, $time);
}

# Open holds by reference that have expired by then, in the order in which they did.
sub expired_holds
{
	my ($user, $time) = @_;

	return sort { $a->{expires} <=> $b->{expires} } grep { $_->{open} && $_->{expires} <= $time } values %{ $user->{holds} };
}

# The same as spendable() once the holds that have expired by then are returned.
sub spendable_with_returns
{
	my ($user, $holds_by, $lots_by) = @_;
	my $then = { %$user, left => { %{ $user->{left} } } };

	foreach my $hold (expired_holds($user, $holds_by))
	{
		$then->{balance} += $hold->{open};
		fill($then, @$_) foreach @{ $user->{takings}{ $hold->{hold} } };
	}
	return spendable($then, $lots_by);
}

# What get_credit_lots() must say.
sub lots_of
{
	my ($user) = @_;
	my %held;

	$held{ $_->[0] } += $_->[1] foreach map { @$_ } values %{ $user->{takings} };
	return join ', ', map {
		my $lot = $user->{lots}{$_};
		my $expires = $user->{expires}{$_} == $never ? 'never' : $user->{expires}{$_};
		"$_ $lot->{type} $lot->{amount}: " . ($user->{left}{$_} // 0) . ' and ' . ($held{$_} // 0) . " held, $lot->{priority}, $expires"
	} in_burn_order($user, keys %{ { %held, %{ $user->{left} } } });
}

# --- entries ---------------------------------------------------------------------

# Makes an entry in the model; returns its number.
sub book
{
	my ($self, $user, $type, $amount, %rest) = @_;
	my $no = ++$user->{entries};
	my $reverses = $rest{reverses};

	$user->{balance} += $amount;
	$user->{reserved} -= $amount if $type eq 'reserve';
	$user->{used} -= $amount if $type eq 'usage' || $type eq 'refund';
	if (!defined $rest{transfer})
	{
		$user->{granted} += $amount if $type eq 'grant';
		$user->{purchased} += $amount if $type eq 'purchase' || $type eq 'subscription';
	}

	if ($type eq 'reserve' && $amount < 0)
	{
		$user->{takings}{$no} = burn($user, -$amount);
		$user->{holds}{$no} = { hold => $no, open => -$amount, taken => -$amount, charged => 0, available => 0,
			expires => $rest{expires}, reference => $rest{reference} } if defined $rest{reference};
	}
	elsif ($type eq 'reserve')
	{
		fill($user, @$_) foreach @{ delete $user->{takings}{$reverses} };
	}
	elsif ($amount > 0)
	{
		my $lot = $no;
		defined $reverses && exists $user->{lots}{$reverses} ? $lot = $reverses : $self->add_lot($user, $no, $type, $amount, %rest);
		fill($user, $lot, $amount);
	}
	else
	{
		my $drawn = defined $reverses ? draw($user, $reverses, -$amount) : 0;
		burn($user, -$amount - $drawn);
	}

	# what is left of a payment here, spent or not
	$user->{parts}{$reverses}{left} += $amount if defined $reverses && $user->{parts}{$reverses} && $type ne 'expire';
	$user->{keys}{ $rest{key} } = { no => $no, type => $type, amount => $amount, after => $user->{balance}, %rest } if defined $rest{key};

	my $total = sum0(values %{ $user->{left} }) - $user->{debt};
	die "the model is wrong: user $user->{no}, entry $no" if $total != $user->{balance};
	$self->take_picture($user) if delete $self->{wanted}{ $user->{no} }{$no};
	return $no;
}

# A new lot; of a payment it is a part.
sub add_lot
{
	my ($self, $user, $no, $type, $amount, %rest) = @_;
	my $name = $rest{payment};

	$user->{expires}{$no} = $rest{expires} // $never;
	$user->{lots}{$no} = { type => $type, amount => $amount, priority => $rest{priority} // 0, payment => $name, born => $rest{born} };
	return if !defined $name;

	my $part = { user => $user, no => $no, left => $amount, moved => defined $rest{transfer} ? 1 : 0, created => $rest{created} // 0 };
	my $payment = $self->{payments}{$name} //= { name => $name, user => $user->{no}, no => $no, type => $type, amount => $amount,
		born => $rest{born}, parts => [], reversals => {}, standing => [] };
	$user->{parts}{$no} = $part;
	$payment->{parts} = [ sort {
			$a->{moved} <=> $b->{moved} || $a->{created} <=> $b->{created} || $a->{user}{no} <=> $b->{user}{no} || $a->{no} <=> $b->{no}
		} @{ $payment->{parts} }, $part ];
	return;
}

# What reads of this moment must say.
sub take_picture
{
	my ($self, $user) = @_;
	my %picture = map { $_ => $user->{$_} } qw(balance reserved purchased granted used);

	$picture{lots} = [ map { [ $user->{expires}{$_}, $user->{left}{$_} ] } keys %{ $user->{left} } ];
	$picture{list} = lots_of($user);
	$self->{seen}{ $user->{no} }{ $user->{entries} } = \%picture;
	return;
}

# Is the next entry of the ledger the one that the model makes?  When a hold
# expires depends on the clock, and so it is taken from there.
sub enter
{
	my ($self, $op, $user, $type, $amount, %rest) = @_;
	my $actual = $self->{ledger}{ $user->{no} }[ $user->{entries} ];
	$self->{outcomes}{"entry $type"}++;
	if (defined $rest{lasts})
	{
		$rest{expires} = $actual->{expires} // 0;
		$self->problem($op, "the hold expires at $rest{expires}")
		  if $rest{expires} < $op->{t0} + $rest{lasts} || $rest{expires} > $op->{t1} + $rest{lasts};
	}
	my $no = $self->book($user, $type, $amount, %rest, born => $op->{t1}, created => $actual->{created});
	my %expected = (no => $no, type => $type, amount => $amount, balance_after => $user->{balance}, priority => 0, %rest);

	foreach my $column (qw(no type amount balance_after reverses key payment expires priority reference transfer))
	{
		my ($is, $must) = ($actual->{$column} // 'NULL', $expected{$column} // 'NULL');
		$self->problem($op, "entry $no of user $user->{no} has $column $is, not $must") if $is ne $must;
	}
	return $no;
}

# Takes the expire entries that come next, up to the last that the operation
# made: each must be legal.
sub take_expiries
{
	my ($self, $op, $user, $last) = @_;
	my $ledger = $self->{ledger}{ $user->{no} };
	my @before;

	while ($user->{entries} < $last && $ledger->[ $user->{entries} ]{type} eq 'expire')
	{
		my $actual = $ledger->[ $user->{entries} ];
		my $lot = $actual->{reverses} // 0;
		my $left = $user->{left}{$lot} // 0;
		my $expires = $user->{expires}{$lot} // $never;

		$self->problem($op, "user $user->{no}: expire $actual->{amount} of lot $lot, where $left are left")
		  if $actual->{amount} != -$left || $left == 0;
		$self->problem($op, "user $user->{no}: lot $lot has not expired") if $expires > $op->{t1};
		last if !$user->{lots}{$lot};
		$self->problem($op, "user $user->{no}: lot $lot expired out of order")
		  if @before && (in_burn_order($user, @before, $lot))[0] == $lot;
		@before = ($lot);
		$self->enter($op, $user, 'expire', $actual->{amount}, reverses => $lot);
	}
	return;
}

# ... and none is missing of what had expired before the operation.
sub enter_expiries
{
	my ($self, $op, $user, $last) = @_;

	$self->take_expiries($op, $user, $last);
	my $late = expired($user, $op->{t0});
	$self->problem($op, "user $user->{no}: $late credits had expired and were not swept") if $late > 0;
	return;
}

# Takes the returns of expired holds that come next, but not that of the hold that
# the operation closes itself; returns their number.
sub enter_returns
{
	my ($self, $op, $user, $last, $own) = @_;
	my $ledger = $self->{ledger}{ $user->{no} };
	my ($before, $count) = (0, 0);

	while ($user->{entries} < $last)
	{
		my $actual = $ledger->[ $user->{entries} ];
		my $hold = $actual->{type} eq 'reserve' && $actual->{amount} > 0 ? $user->{holds}{ $actual->{reverses} // 0 } : undef;

		last if !$hold || !$hold->{open} || $hold == $own;
		$self->problem($op, "user $user->{no}: hold $hold->{hold} has not expired") if $hold->{expires} > $op->{t1};
		$self->problem($op, "user $user->{no}: hold $hold->{hold} was returned out of order") if $hold->{expires} < $before;
		$before = $hold->{expires};
		$hold->{available} = max($hold->{open}, $user->{balance} + $hold->{open});
		$self->enter($op, $user, 'reserve', $hold->{open}, reverses => $hold->{hold}, reference => $hold->{reference});
		$hold->{open} = 0;
		$self->enter_expiries($op, $user, $last);
		$count++;
	}
	$self->{outcomes}{"$op->{operation} returned"}++ if $count;
	return $count;
}

# What comes before the entries of a plan: expired credit is swept and, where what
# is to be spent lacks without them, expired holds are returned.
sub prepare
{
	my ($self, $op, $plan, $user, $last) = @_;
	my $wanted = $plan->{spend};
	my $may_lack = defined $wanted && $wanted > spendable($user, $op->{t1});

	$self->take_expiries($op, $user, $last);
	my $returned = defined $wanted ? $self->enter_returns($op, $user, $last, $plan->{hold} // 0) : 0;
	$self->problem($op, "user $user->{no}: holds were returned and not needed") if $returned && !$may_lack;
	$self->enter_expiries($op, $user, $last);
	return if !defined $wanted || $user->{balance} >= $wanted;
	$self->problem($op, "user $user->{no}: $wanted was spent, and there was less") if !$plan->{if_any};
	$self->problem($op, "user $user->{no}: expired holds were not returned")
	  if grep { $_ != ($plan->{hold} // 0) } expired_holds($user, $op->{t0});
	return;
}

# --- what an operation must do -----------------------------------------------------

# Each returns the legal answers: answer => what it does, a hash:
#   user    whose entries these are
#   first   expired credit is swept first
#   spend   what must be there for the entries then, or expired holds are returned
#   if_any  it need not be there even so
#   hold    which is closed, and so not returned
#   entries [type, amount, attributes] in order, or a function that makes them once
#           all of that is done; at is another user, swept: what has expired of him
#           is swept after the entry
#   after   expired credit is swept at the end; perhaps, where that depends on the clock
#   then    the rest, called with the numbers of the entries
#   answer  what the answer must be, called with them too; where that depends on the
#           clock, * stands for it
my %decide = (
	reserve => sub {
		my ($self, $op) = @_;
		my $job = $self->{jobs}{ $op->{job} } or return { PT404 => {} };
		return { 42501 => {} } if $job->{user} != $op->{user};
		return { PT409 => {} } if $job->{status} ne 'QUEUED';
		return { $job->{taken} == $op->{amount} ? 't' : 'PT409' => {} } if $job->{open} || $job->{charged};
		return $self->taking($op, $self->{users}{ $op->{user} }, $op->{amount},
			t => $self->hold_of($job, $op->{amount}), f => {});
	},
	retry => sub {
		my ($self, $op) = @_;
		my $job = $self->{jobs}{ $op->{job} } or return { PT404 => {} };
		return { 23514 => {} } if $job->{status} eq 'READY';
		return { $job->{reserved} => {} } if $job->{status} eq 'QUEUED';
		my $price = max($job->{reserved}, $job->{taken});
		my $queued = sub { $job->{status} = 'QUEUED'; $job->{final} = undef };
		return { 0 => { then => $queued } } if $price == 0;
		my $hold = $self->hold_of($job, $price);
		my $opened = $hold->{then};
		$hold->{then} = sub { $queued->(); $opened->(@_) };
		return $self->taking($op, $self->{users}{ $job->{user} }, $price, $price => $hold, PT402 => {});
	},
	usage => sub {
		my ($self, $op) = @_;
		my $user = $self->{users}{ $op->{user} };
		return $self->taking($op, $user, $op->{amount},
			done => { user => $user, entries => [ [ 'usage', -$op->{amount} ] ], after => 1 }, PT402 => {});
	},
	settle => sub {
		my ($self, $op) = @_;
		my $job = $self->{jobs}{ $op->{job} } or return { PT404 => {} };
		return $self->settle($op, $job, $op->{amount}, $op->{extra});
	},
	release => sub {
		my ($self, $op) = @_;
		my $job = $self->{jobs}{ $op->{job} } or return { PT404 => {} };
		return { PT409 => {} } if $job->{charged};
		return { $job->{taken} => {} } if !$job->{open};
		return { $job->{open} => closing($self->{users}{ $job->{user} }, $job, 0) };
	},
	ready => sub {
		my ($self, $op) = @_;
		my $job = $self->{jobs}{ $op->{job} } or return { PT404 => {} };
		return { 23514 => {} } if $job->{status} eq 'FAILED';
		if ($job->{status} eq 'READY')
		{
			my $other = defined $op->{amount} && defined $job->{final} && $op->{amount} != $job->{final};
			return { $other ? 'PT409' : $job->{final} // 'NULL' => {} };
		}
		my $price = $op->{amount} // $job->{final};
		$price //= $job->{open} || $job->{charged} if $job->{hold};
		my $answers = $self->settle($op, $job, $price, 'error');
		return $answers if $answers->{PT409};
		my ($plan) = values %$answers;
		my $settled = $plan->{then} // sub { };
		$plan->{then} = sub { $settled->(@_); $job->{status} = 'READY'; $job->{final} = $price };
		return { $price // 'NULL' => $plan };
	},
	failed => sub {
		my ($self, $op) = @_;
		my $job = $self->{jobs}{ $op->{job} } or return { PT404 => {} };
		return { 23514 => {} } if $job->{status} eq 'READY';
		return { $job->{final} // 'NULL' => {} } if $job->{status} eq 'FAILED';
		my $plan = $job->{open} ? closing($self->{users}{ $job->{user} }, $job, 0) : {};
		my $closed = $plan->{then} // sub { };
		my $final = $job->{open} ? 0 : $job->{final} // ($job->{hold} ? $job->{charged} : undef);
		$plan->{then} = sub { $closed->(@_); $job->{status} = 'FAILED'; $job->{final} = $final };
		return { $final // 'NULL' => $plan };
	},
	delete => sub {
		my ($self, $op) = @_;
		my $job = $self->{jobs}{ $op->{job} } or return { 0 => {} };
		my $plan = $job->{open} ? closing($self->{users}{ $job->{user} }, $job, 0) : {};
		$plan->{then} = sub {
			delete $self->{jobs}{ $op->{job} };
			# the entries forget their job, and so do the keys
			delete $_->{job} foreach grep { ($_->{job} // 0) == $op->{job} } values %{ $self->{users}{ $job->{user} }{keys} };
		};
		return { 1 => $plan };
	},
	create => sub {
		my ($self, $op) = @_;
		return { 0 => {} } if $self->{jobs}{ $op->{job} };
		return { 1 => { then => sub { $self->{jobs}{ $op->{job} } = new_job($op->{user}, $op->{t1}) } } };
	},
	grant => sub {
		my ($self, $op) = @_;
		my $user = $self->{users}{ $op->{user} };
		return { 22023 => {} } if $op->{amount} < 1;
		my $found = used($user, $op->{name});
		return { is_same($found, kind => 'grant', amount => $op->{amount}) ? $found->{no} : 'PT409' => {} } if $found;
		return $self->adding($op, $user, 'grant', key => $op->{name}, kind => 'grant', priority => $op->{priority} // 0);
	},
	purchase => sub { return decide_payment(@_) },
	subscription => sub { return decide_payment(@_) },
	refund => sub {
		my ($self, $op) = @_;
		my $job = $self->{jobs}{ $op->{job} } or return { PT404 => {} };
		my $user = $self->{users}{ $job->{user} };
		my %content = (kind => 'refund', job => $op->{job});
		my $found = used($user, $op->{name});
		return { is_same($found, %content, amount => $op->{amount}) ? $op->{amount} : 'PT409' => {} } if $found;
		return { PT409 => {} } if $op->{amount} > $job->{refundable};
		return { $op->{amount} => {
			user => $user,
			entries => [ [ 'refund', $op->{amount}, key => $op->{name}, %content ] ],
			then => sub { $job->{refundable} -= $op->{amount} } } };
	},
	reverse => sub {
		my ($self, $op) = @_;
		my $payment = $self->{payments}{ $op->{name} } or return { PT404 => {} };
		my $before = defined $op->{extra} ? $payment->{reversals}{ $op->{extra} } : undef;
		return { defined $op->{amount} && $op->{amount} != $before->{total} ? 'PT409' : $before->{total} => {} } if $before;
		return { 0 => { then => sub { $self->{outcomes}{'reverse awaited'}++ } } } if is_awaited($payment, $op->{extra});
		return { PT409 => {} } if is_taken($payment, $op->{extra});
		my $left = sum0(map { $_->{left} } @{ $payment->{parts} });
		my $taken = $op->{amount} // $left;
		return { PT409 => {} } if $taken > $left;
		return { defined $op->{extra} ? 'PT409' : 0 => {} } if $taken == 0;
		return { $taken => $self->reversal($payment, $taken, $op->{extra}) };
	},
	reinstate => sub {
		my ($self, $op) = @_;
		my $payment = $self->{payments}{ $op->{name} } or return { PT404 => {} };
		my $reversal = $payment->{standing}[0];
		if (defined $op->{extra})
		{
			$reversal = $payment->{reversals}{ $op->{extra} };
			return { 0 => {} } if !$reversal && is_awaited($payment, $op->{extra});
			return { PT409 => {} } if !$reversal && is_taken($payment, $op->{extra});
			return { 0 => { then => sub {
				remember($payment->{parts}[0]{user}, $op->{extra}, kind => 'reverse', about => $payment->{name});
				$self->{outcomes}{'reinstate early'}++;
			} } } if !$reversal;
		}
		return { PT409 => {} } if !defined $op->{extra} && @{ $payment->{standing} } > 1;
		return { 0 => {} } if !$reversal;
		my @others = grep { $_ != $reversal } @{ $payment->{standing} };
		return { $reversal->{total} => {} } if @others == @{ $payment->{standing} };
		return { $reversal->{total} => {
			entries => [ map {
				[ $payment->{type}, $_->{amount}, at => $_->{part}{user}, swept => 1, key => "reinstates:$_->{no}", kind => 'reinstate',
					payment => $payment->{name}, reverses => $_->{part}{no} ]
			} @{ $reversal->{entries} } ],
			then => sub { $payment->{standing} = \@others } } };
	},
	charge => sub {
		my ($self, $op) = @_;
		my $user = $self->{users}{ $op->{user} };
		my $found = used($user, $op->{name});
		return { is_same($found, kind => 'charge', amount => -$op->{amount}) ? $found->{after} : 'PT409' => {} } if $found;
		return $self->taking($op, $user, $op->{amount}, '*' => {
			user => $user, answer => sub { $user->{balance} },
			entries => [ [ 'usage', -$op->{amount}, key => $op->{name}, kind => 'charge', reference => $op->{extra} ] ] }, PT402 => {});
	},
	top_up => sub {
		my ($self, $op) = @_;
		my $user = $self->{users}{ $op->{user} };
		my $found = used($user, $op->{name});
		return { is_same($found, kind => 'top_up', target => $op->{amount}) ? $found->{amount} : 'PT409' => {} } if $found;
		my %content = (kind => 'top_up', target => $op->{amount});
		my $missing;
		my $plan = {
			user => $user, first => 1, answer => sub { $missing },
			entries => sub {
				$missing = max(0, $op->{amount} - $user->{balance});
				remember($user, $op->{name}, %content) if $missing == 0;
				return $missing > 0 ? [ 'grant', $missing, key => $op->{name}, %content, expires => $op->{expires} ] : ();
			} };
		my $expires = $op->{expires} // $never;
		return { $expires > $op->{t0} ? ('*' => $plan) : (), $expires <= $op->{t1} ? (22023 => {}) : () };
	},
	hold => sub {
		my ($self, $op) = @_;
		my $user = $self->{users}{ $op->{user} };
		my $found = used($user, $op->{name});
		return { is_same($found, kind => 'hold', amount => -$op->{amount}) ? $found->{no} : 'PT409' => {} } if $found;
		return $self->taking($op, $user, $op->{amount}, '*' => {
			user => $user, answer => sub { $_[0] },
			entries => [ [ 'reserve', -$op->{amount}, key => $op->{name}, kind => 'hold', reference => $op->{extra}, lasts => $op->{lasts} ] ] },
			PT402 => {});
	},
	capture => sub {
		my ($self, $op) = @_;
		my $user = $self->{users}{ $op->{user} };
		my $hold = named_hold($user, $op->{name}) or return { PT404 => {} };
		if (!$hold->{open})
		{
			my $price = replayed_price($hold, $op->{amount}, $op->{extra});
			return { $price == $hold->{charged} ? $price : 'PT409' => {} };
		}
		return { 0 => closing($user, $hold, 0) } if ($op->{amount} // 1) == 0;
		return { PT409 => {} } if $hold->{expires} <= $op->{t0};
		my $answers = $self->close_at($op, $user, $hold, $op->{amount}, $op->{extra});
		$answers->{PT409} //= {} if $hold->{expires} <= $op->{t1};
		return $answers;
	},
	release_hold => sub {
		my ($self, $op) = @_;
		my $user = $self->{users}{ $op->{user} };
		my $hold = named_hold($user, $op->{name}) or return { PT404 => {} };
		return { PT409 => {} } if $hold->{charged};
		return { $hold->{taken} => $hold->{open} ? closing($user, $hold, 0) : {} };
	},
	void => sub {
		my ($self, $op) = @_;
		my $user = $self->{users}{ $op->{user} };
		my $entry = named_entry($user, $op->{name}) or return { PT404 => {} };
		my $no = $entry->{no};
		return { 22023 => {} } if ($user->{lots}{$no} // { type => 'refund' })->{type} eq 'refund';
		my $found = used($user, $op->{extra});
		if ($found)
		{
			my $same = is_same($found, kind => 'void', about => $no) &&
			  (!defined $op->{amount} || $op->{amount} == -$found->{amount});
			return { $same ? -$found->{amount} : 'PT409' => {} };
		}
		my $left = $user->{left}{$no} // 0;
		my ($most, $least) = map { $user->{expires}{$no} <= $_ ? 0 : $left } @$op{qw(t0 t1)};
		my $taken;
		my $plan = {
			user => $user, first => 1, answer => sub { $taken },
			entries => sub {
				$taken = $op->{amount} // $user->{left}{$no} // 0;
				remember($user, $op->{extra}, kind => 'void', about => $no) if $taken == 0;
				return $taken > 0 ? [ $user->{lots}{$no}{type}, -$taken, key => $op->{extra}, kind => 'void', about => $no, reverses => $no ] : ();
			} };
		return { ($op->{amount} // 0) <= $most ? ('*' => $plan) : (), ($op->{amount} // 0) > $least ? (PT409 => {}) : () };
	},
	transfer => sub {
		my ($self, $op) = @_;
		return { 22023 => {} } if $op->{user} == $op->{other};
		my ($user, $other) = @{ $self->{users} }{ @$op{qw(user other)} };
		my $found = used($user, $op->{name});
		return { is_same($found, kind => 'transfer', about => $op->{other}, total => $op->{amount}) ? $op->{amount} : 'PT409' => {} } if $found;
		return $self->taking($op, $user, $op->{amount}, $op->{amount} => {
			user => $user, entries => sub { return $self->moving($user, $other, 'transfer', $op->{amount}, $op->{name}) } }, PT402 => {});
	},
	merge => sub {
		my ($self, $op) = @_;
		return { 22023 => {} } if $op->{user} == $op->{other};
		my ($user, $other) = @{ $self->{users} }{ @$op{qw(user other)} };
		my $found = used($user, $op->{name});
		return { is_same($found, kind => 'merge', about => $op->{other}) ? $found->{total} : 'PT409' => {} } if $found;
		my ($most, $least) = map { $user->{reserved} - sum0(map { $_->{open} } expired_holds($user, $_)) } @$op{qw(t0 t1)};
		my $moved;
		my $plan = {
			user => $user, first => 1, spend => $never, if_any => 1, answer => sub { $moved },
			entries => sub {
				$moved = $user->{balance};
				remember($user, $op->{name}, kind => 'merge', about => $op->{other}, total => 0) if $moved == 0;
				return $self->moving($user, $other, 'merge', $moved, $op->{name});
			} };
		return {
			$least == 0 && spendable_with_returns($user, $op->{t1}, $op->{t0}) >= 0 ? ('*' => $plan) : (),
			$most > 0 || spendable_with_returns($user, $op->{t0}, $op->{t1}) < 0 ? (PT409 => {}) : () };
	},
);

# --- keys ---

# The entry that was made under this key, or what is remembered of a call that made none.
sub used
{
	my ($user, $key) = @_;

	return defined $key ? $user->{keys}{$key} // $user->{empty}{$key} : undef;
}

sub is_same
{
	my ($found, %content) = @_;

	return !any { ($found->{$_} // '') ne $content{$_} } keys %content;
}

# A call with this key made no entry.
sub remember
{
	my ($user, $key, %content) = @_;

	$user->{empty}{$key} = { amount => 0, %content } if defined $key;
	return;
}

# The entry that an operation names: the lot of a payment that this user has, the oldest of
# several, or what was made under a key.
sub named_entry
{
	my ($user, $name) = @_;
	my $lot = min(grep { ($user->{lots}{$_}{payment} // '') eq $name } keys %{ $user->{lots} });

	return defined $lot ? { no => $lot, born => $user->{lots}{$lot}{born} } : $user->{keys}{$name};
}

# A hold by reference, by its key.
sub named_hold
{
	my ($user, $name) = @_;

	return $user->{keys}{$name} ? $user->{holds}{ $user->{keys}{$name}{no} } : undef;
}

# --- payments ---

# Was the reversal with this key reinstated before it came?
sub is_awaited
{
	my ($payment, $key) = @_;
	my $found = used($payment->{parts}[0]{user}, $key);

	return $found && is_same($found, kind => 'reverse', about => $payment->{name}) && !$found->{no};
}

# Has one of those who have credit of the payment used the key for something else?
sub is_taken
{
	my ($payment, $key) = @_;

	return any { used($_->{user}, $key) } @{ $payment->{parts} };
}

# Taking back so much of a payment: what is unspent first, in the order of its lots; then
# each lot is good for its part.  Where a part was in a hold when it was reversed, it may
# have moved since, and what is left of it there is less than nothing.
sub reversal
{
	my ($self, $payment, $amount, $key) = @_;
	my @parts = @{ $payment->{parts} };
	my $wanted = $amount;
	my %taken;

	foreach my $what ('unspent', 'spent')
	{
		foreach my $part (@parts)
		{
			my $had = $taken{$part} // 0;
			my $left = $what eq 'spent' ? $part->{left} - $had : min($part->{left}, $part->{user}{left}{ $part->{no} } // 0);
			my $more = max(0, min($left, $wanted));
			$taken{$part} = $had + $more;
			$wanted -= $more;
		}
	}
	my @from = grep { $taken{$_} > 0 } @parts;
	my @entries = map { [ $payment->{type}, -$taken{$_}, at => $_->{user}, payment => $payment->{name}, reverses => $_->{no} ] } @from;
	push @{ $entries[0] }, key => $key, kind => 'reverse', about => $payment->{name};
	return {
		entries => \@entries,
		then => sub {
			my @numbers = @_;
			my $reversal = { total => $amount,
				entries => [ map { { part => $from[$_], no => $numbers[$_], amount => $taken{ $from[$_] } } } 0 .. $#from ] };
			$payment->{reversals}{$key} = $reversal if defined $key;
			push @{ $payment->{standing} }, $reversal;
			$self->{outcomes}{'reverse several'}++ if @from > 1;
		} };
}

# --- credit that moves ---

# The entries that move so much of what a user has to another, whose lots have the same
# expiry, priority and payment.
sub moving
{
	my ($self, $user, $other, $kind, $amount, $key) = @_;
	my $wanted = $amount;
	my $no = $user->{entries};
	my @entries;

	foreach my $lot (live_lots($user))
	{
		last if $wanted == 0;
		my $is = $user->{lots}{$lot};
		my $moved = min($user->{left}{$lot}, $wanted);
		my $type = defined $is->{payment} ? $is->{type} : 'grant';
		my @of = (transfer => "$kind $user->{no}>$other->{no} $amount");
		push @entries, [ $type, -$moved, @of, reverses => $lot,
			@entries ? () : (key => $key, kind => $kind, about => $other->{no}, total => $amount) ];
		push @entries, [ $type, $moved, at => $other, @of, payment => $is->{payment}, reverses => "$user->{no}:" . ++$no, priority => $is->{priority},
			expires => $user->{expires}{$lot} == $never ? undef : $user->{expires}{$lot} ];
		$wanted -= $moved;
	}
	$self->{outcomes}{"$kind several"}++ if @entries > 2;
	return @entries;
}

# Taking credit: the answer for enough, the answer for too little, or both
# where it depends on the clock.
sub taking
{
	my ($self, $op, $user, $amount, $yes, $plan, $no, $nothing) = @_;
	my ($t0, $t1) = @$op{qw(t0 t1)};
	my $may_do = $amount <= spendable($user, $t0) || $amount <= spendable_with_returns($user, $t1, $t0);
	my $may_lack = $amount > spendable($user, $t1) && $amount > spendable_with_returns($user, $t0, $t1);

	@$plan{qw(first spend)} = (1, $amount);
	return { $may_do ? ($yes => $plan) : (), $may_lack ? ($no => $nothing) : () };
}

sub hold_of
{
	my ($self, $job, $amount) = @_;

	return { user => $self->{users}{ $job->{user} }, entries => [ [ 'reserve', -$amount ] ],
		then => sub {
			@$job{qw(hold open taken charged reserved final)} = ($_[0], $amount, $amount, 0, $amount, undef);
		} };
}

# Closing an open hold, of a job or by reference, and charging a price; it may be a
# function that is called once expired credit is swept.
sub closing
{
	my ($user, $hold, $price, %options) = @_;
	my $cost;

	return { %options, user => $user, hold => $hold, after => 1,
		entries => sub {
			my @by = (reference => $hold->{reference});
			$cost = ref $price ? $price->() : $price;
			$hold->{available} = max($hold->{open}, $user->{balance} + $hold->{open});
			my @key = defined $hold->{reference} ? (key => "captures:$hold->{hold}", kind => 'capture') : ();
			return ([ 'reserve', $hold->{open}, @by, reverses => $hold->{hold} ], $cost > 0 ? [ 'usage', -$cost, @by, @key ] : ());
		},
		then => sub {
			@$hold{qw(open charged final)} = (0, $cost, $cost);
			$hold->{refundable} += $cost;
		} };
}

# Closing an open hold at a price that may be above it; NULL is all of it.
sub close_at
{
	my ($self, $op, $user, $hold, $price, $overrun) = @_;
	my $held = $hold->{open};

	$price //= $held;
	return { $price => closing($user, $hold, $price, first => $price > 0) } if $price <= $held;
	return { PT409 => {} } if $overrun eq 'error';
	return { $held => closing($user, $hold, $held, first => 1) } if $overrun eq 'cap';
	return $self->taking($op, $user, $price - $held, $price => closing($user, $hold, $price), PT402 => {}) if $overrun eq 'charge';
	my $cost;
	my $available = sub { $cost = min($price, $held + max($user->{balance}, 0)) };
	return { '*' => closing($user, $hold, $available, first => 1, spend => $price - $held, if_any => 1, answer => sub { $cost }) };
}

# What closing a closed hold at this price would have charged.
sub replayed_price
{
	my ($hold, $price, $overrun) = @_;

	$price //= $hold->{taken};
	return min($price, $hold->{taken}) if $overrun eq 'cap';
	return min($price, max($hold->{taken}, $hold->{available})) if $overrun eq 'available';
	return $price;
}

sub settle
{
	my ($self, $op, $job, $price, $overrun) = @_;

	return $self->close_at($op, $self->{users}{ $job->{user} }, $job, $price, $overrun) if $job->{open};
	return { PT409 => {} } if !$job->{hold} && ($price // 0) > 0;
	$price = replayed_price($job, $price, $overrun);
	return { $price == $job->{charged} ? $price : 'PT409' => {} };
}

# Credit coming in: its entry.  An expiry that has passed is a refusal of a grant; a payment is booked and expires at
# once.
sub adding
{
	my ($self, $op, $user, $type, %rest) = @_;
	my $expires = $op->{expires} // $never;
	my $plan = { user => $user, entries => [ [ $type, $op->{amount}, expires => $op->{expires}, %rest ] ] };

	if (defined $rest{payment})
	{
		$plan->{after} = $expires <= $op->{t0} ? 1 : $expires <= $op->{t1} ? 'perhaps' : 0;
		return { $user->{entries} + 1 => $plan };
	}
	return { $expires > $op->{t0} ? ($user->{entries} + 1 => $plan) : (), $expires <= $op->{t1} ? (22023 => {}) : () };
}

sub decide_payment
{
	my ($self, $op) = @_;
	my $type = $op->{operation};
	my $found = $self->{payments}{ $op->{name} };

	return $self->adding($op, $self->{users}{ $op->{user} }, $type, payment => $op->{name}) if !$found;
	my $same = $found->{user} == $op->{user} && $found->{type} eq $type && $found->{amount} == $op->{amount};
	return { $same ? $found->{no} : 'PT409' => {} };
}

# --- the journal -----------------------------------------------------------------

# The entries that an operation made: user => [from, to].
sub spans_of
{
	my ($op) = @_;

	return map { /^(\d+):(\d+)-(\d+)$/ ? ($1 => [ $2, $3 ]) : die "bad spans: $_" } split /,/, $op->{spans} // '';
}

# An operation that succeeded, with the state that it found.  In a new entry's
# answer and its plan numbers count from before expired credit was swept.
sub apply
{
	my ($self, $op) = @_;
	my %spans = spans_of($op);
	my $answers = $decide{ $op->{operation} }->($self, $op);
	my $plan = $answers->{ $op->{result} } // $answers->{'*'};

	if (!$plan)
	{
		$self->problem($op, 'answer is none of ' . join(', ', sort keys %$answers));
		$plan = {};
	}
	$self->check_first($op, \%spans);
	my $user = $plan->{user};
	$self->prepare($op, $plan, $user, last_of($user, \%spans)) if $plan->{first} || defined $plan->{spend};
	my @entries = ref $plan->{entries} eq 'CODE' ? $plan->{entries}->() : @{ $plan->{entries} // [] };
	my @numbers;
	foreach my $entry (@entries)
	{
		my ($type, $amount, %rest) = @$entry;
		my $at = delete $rest{at} // $user;
		my $swept = delete $rest{swept};

		$self->problem($op, "it made no entry of user $at->{no}") if !$spans{ $at->{no} };
		push @numbers, $self->enter($op, $at, $type, $amount, %rest);
		$self->enter_expiries($op, $at, last_of($at, \%spans)) if $swept;
	}
	my $swept = ($plan->{after} // 0) eq 'perhaps' ? $user->{entries} < last_of($user, \%spans) : $plan->{after};
	$self->enter_expiries($op, $user, last_of($user, \%spans)) if $swept;
	$self->check_last($op, \%spans);
	my $answer = $plan->{answer} ? $plan->{answer}->(@numbers) : $op->{result};
	$self->problem($op, "the answer is not $answer") if $answer ne $op->{result};
	$plan->{then}->(@numbers) if $plan->{then};
	return;
}

# The last entry that an operation made for a user.
sub last_of
{
	my ($user, $spans) = @_;

	return $spans->{ $user->{no} } ? $spans->{ $user->{no} }[1] : $user->{entries};
}

# The entries of an operation begin where those before it end.
sub check_first
{
	my ($self, $op, $spans) = @_;

	foreach my $user (map { $self->{users}{$_} } sort { $a <=> $b } keys %$spans)
	{
		my $first = $spans->{ $user->{no} }[0];
		$self->problem($op, "user $user->{no}: its first entry is not " . ($user->{entries} + 1)) if $first != $user->{entries} + 1;
	}
	return;
}

sub check_last
{
	my ($self, $op, $spans) = @_;

	foreach my $user (map { $self->{users}{$_} } sort { $a <=> $b } keys %$spans)
	{
		my $last = $spans->{ $user->{no} }[1];
		$self->problem($op, "user $user->{no}: its last entry is not $user->{entries}") if $last != $user->{entries};
	}
	return;
}

# expire_credits() and sweep_stale_holds(): any users, since they leave out those who are busy.
sub apply_sweep
{
	my ($self, $op) = @_;
	my %spans = spans_of($op);
	my $count = 0;

	$self->check_first($op, \%spans);
	foreach my $user (map { $self->{users}{$_} } sort { $a <=> $b } keys %spans)
	{
		my ($first, $last) = @{ $spans{ $user->{no} } };
		$self->enter_expiries($op, $user, $last) if $op->{operation} eq 'expire';
		$count += $op->{operation} eq 'expire' ? $last - $first + 1 : $self->enter_returns($op, $user, $last, 0);
	}
	$self->check_last($op, \%spans);
	$self->problem($op, "it did this $count times") if $op->{result} ne $count;
	return;
}

# Whatever holds no lock when it ends: errors, and rows that were there or not.
sub is_loose
{
	my ($op) = @_;

	return $op->{refused} eq 't' || $op->{operation} =~ /^(create|delete)$/ && $op->{result} eq '0';
}

# Does the present state explain this answer?
sub explains
{
	my ($self, $op) = @_;
	my $unknown = $op->{result} eq 'PT404' || $op->{operation} eq 'delete';
	my $row = defined $op->{job} ? $self->{jobs}{ $op->{job} }
	  : $op->{operation} =~ /^(void|capture|release_hold)$/ ? named_entry($self->{users}{ $op->{user} }, $op->{name})
	  : $self->{payments}{ $op->{name} // '' };

	return 1 if $unknown && $row && $op->{t0} - $row->{born} < $unseen;
	return exists $decide{ $op->{operation} }->($self, $op)->{ $op->{result} };
}

# Does the whole journal.
sub run
{
	my ($self, $journal) = @_;
	my (@events, @reads, %open);

	foreach my $op (@$journal)
	{
		my $outcome = $op->{operation} =~ /^(balance|summary|lots)$/ ? 'read'
		  : is_loose($op) || $op->{result} =~ /^(t|f|done|NULL)$/ ? $op->{result}
		  : $op->{spans} ? 'moved' : $op->{result} eq '0' ? '0' : 'again';
		$self->{outcomes}{"$op->{operation} $outcome"}++;
		if ($outcome eq 'read')
		{
			push @reads, $op;
			$self->{wanted}{ $op->{user} }{ $op->{entries} } = 1 if $op->{operation} ne 'balance';
		}
		elsif (is_loose($op))
		{
			push @events, [ $op->{m0}, 'open', $op ], [ $op->{m1}, 'close', $op ];
		}
		else
		{
			push @events, [ $op->{m1}, 'apply', $op ];
		}
	}
	foreach my $user (values %{ $self->{users} })
	{
		$self->take_picture($user) if delete $self->{wanted}{ $user->{no} }{ $user->{entries} };
	}

	foreach my $event (sort { $a->[0] <=> $b->[0] } @events)
	{
		my ($moment, $what, $op) = @$event;
		last if @{ $self->{problems} };
		# after a problem the model may be in a state that cannot be
		eval { $self->event($moment, $what, $op, \%open); 1 }
		  or return $self->problem($op, "the model cannot go on: $@");
	}
	$self->check_read($_) foreach @reads;
	return;
}

sub event
{
	my ($self, $moment, $what, $op, $open) = @_;

	if ($what eq 'open')
	{
		$open->{$moment} = $op if !$self->explains($op);
	}
	elsif ($what eq 'close')
	{
		$self->problem($op, 'nothing explains this answer') if delete $open->{ $op->{m0} };
	}
	else
	{
		$op->{operation} =~ /^(expire|stale)$/ ? $self->apply_sweep($op) : $self->apply($op);
		delete @$open{ grep { $self->explains($open->{$_}) } keys %$open };
	}
	return;
}

sub check_read
{
	my ($self, $op) = @_;
	return if @{ $self->{problems} };

	if ($op->{operation} eq 'balance')
	{
		my $balance = $self->{ledger}{ $op->{user} }[ $op->{entries} - 1 ]{balance_after};
		$self->problem($op, "the balance was $balance") if $op->{result} ne $balance;
		return;
	}

	my $picture = $self->{seen}{ $op->{user} }{ $op->{entries} };
	return $self->problem($op, 'the model never had these entries') if !$picture;
	if ($op->{operation} eq 'lots')
	{
		$self->problem($op, "the lots were $picture->{list}") if $op->{result} ne $picture->{list};
		return;
	}
	my $summary = JSON::PP::decode_json($op->{result});
	my %expected = (
		balance => $picture->{balance}, reserved => $picture->{reserved}, lifetime_purchased => $picture->{purchased},
		lifetime_granted => $picture->{granted}, lifetime_used => $picture->{used});

	# what depends on the clock, where nothing expired just then
	if (!any { $_->[0] > $op->{t0} && $_->[0] <= $op->{t1} || $_->[0] > $op->{t0} + $week && $_->[0] <= $op->{t1} + $week } @{ $picture->{lots} })
	{
		my @coming = grep { $_->[0] > $op->{t0} && $_->[0] < $never } @{ $picture->{lots} };
		$expected{spendable} = max(0, $picture->{balance} - sum0(map { $_->[1] } grep { $_->[0] <= $op->{t0} } @{ $picture->{lots} }));
		$expected{expiring_in_7_days} = sum0(map { $_->[1] } grep { $_->[0] <= $op->{t0} + $week } @coming);
		$summary->{next_expiry} = $op->{next_expiry};
		$expected{next_expiry} = min(map { $_->[0] } @coming);
	}
	foreach my $field (sort keys %expected)
	{
		my ($is, $must) = map { $_ // 'NULL' } $summary->{$field}, $expected{$field};
		$self->problem($op, "$field must be $must") if $is ne $must;
	}
	return;
}

# The final state: accounts (user => [balance, reserved, entries, lots, holds, keys])
# and jobs (job => [user, status, reserved, final]), and nothing that has expired.
sub check_end
{
	my ($self, $accounts, $jobs, $now) = @_;

	foreach my $user (values %{ $self->{users} })
	{
		my $is = join '|', map { $_ // '' } @{ $accounts->{ $user->{no} } };
		my @holds = sort { $a <=> $b } map { $_->{hold} } grep { $_->{open} } values %{ $user->{holds} };
		my $must = join '|', @$user{qw(balance reserved entries)}, lots_of($user), join(' ', @holds), join(', ', sort keys %{ $user->{empty} });
		$self->problem(undef, "account of user $user->{no}: $is, not $must") if $is ne $must;
		$self->problem(undef, "user $user->{no} has more entries") if @{ $self->{ledger}{ $user->{no} } } != $user->{entries};
		$self->problem(undef, "user $user->{no} has expired credit") if expired($user, $now) > 0;
		$self->problem(undef, "user $user->{no} has expired holds") if expired_holds($user, $now);
	}
	foreach my $no (keys %{ { %$jobs, %{ $self->{jobs} } } })
	{
		my $is = $jobs->{$no} ? join('|', map { $_ // 'NULL' } @{ $jobs->{$no} }) : 'none';
		my $must = $self->{jobs}{$no} ? join('|', map { $_ // 'NULL' } @{ $self->{jobs}{$no} }{qw(user status reserved final)}) : 'none';
		$self->problem(undef, "job $no: $is, not $must") if $is ne $must;
	}
	return;
}

1;
