# A model of the credit books: what every operation must answer and enter, from
# the contract alone.  It is given the journal of a run and the ledger that the
# run left, does the journal again in the order in which the locks were held,
# and notes whatever is not as it must be.
#
# An operation is a hash: operation, user, job, amount, name (a key or payment),
# extra, expires (microseconds), result, refused (the result is a SQLSTATE), spans (the entries that it made:
# user:from-to), entries (of the account, where it only read), m0 and m1
# (moments around it), t0 and t1 (clock around it, microseconds).
#
# Pitfalls:
# - The moment m1 of an operation that succeeded was drawn under its locks, so
#   moments order whatever touched the same row.  An error gave up its locks
#   before: it must be explained by a state at some moment from m0 to m1.
# - Which credit had expired is decided by a clock between t0 and t1.  So expire
#   entries are taken as they are, but each must be legal, and none may be
#   missing for credit that had expired by t0.
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
# balance_after, reverses (a number), key, payment, expires.
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
			expires => {}, left => {}, takings => {}, keys => {}, awaited => {}, used => 0, purchased => 0, granted => 0 };
		$self->book($self->{users}{$user}, 'grant', 10, key => 'welcome');
	}
	$self->{jobs}{$_} = new_job(1 + ($_ - 1) % $args{users}, -$never) foreach 1 .. $args{jobs};
	return $self;
}

sub new_job
{
	my ($user, $born) = @_;

	return { user => $user, status => 'QUEUED', reserved => 0, final => undef,
		hold => undef, open => 0, taken => 0, charged => 0, refundable => 0, born => $born };
}

sub problem
{
	my ($self, $op, $words) = @_;
	my $call = $op ? join(' ', map { "$_=" . ($op->{$_} // 'NULL') }
		  qw(client number operation user job amount name extra expires result spans entries m0 m1 t0 t1)) : 'at the end';

	push @{ $self->{problems} }, "$words ($call)";
	return;
}

# --- lots ------------------------------------------------------------------------

# Lots with something left, in burn order.
sub live_lots
{
	my ($user) = @_;
	my ($left, $expires) = @$user{qw(left expires)};

	return sort { $expires->{$a} <=> $expires->{$b} || $a <=> $b } keys %$left;
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
	$user->{granted} += $amount if $type eq 'grant';
	$user->{purchased} += $amount if $type eq 'purchase' || $type eq 'subscription';

	if ($type eq 'reserve' && $amount < 0)
	{
		$user->{takings}{$no} = burn($user, -$amount);
	}
	elsif ($type eq 'reserve')
	{
		fill($user, @$_) foreach @{ delete $user->{takings}{$reverses} };
	}
	elsif ($amount > 0)
	{
		$user->{expires}{$no} = $rest{expires} // $never if !defined $reverses;
		fill($user, $reverses // $no, $amount);
	}
	else
	{
		my $drawn = defined $reverses ? draw($user, $reverses, -$amount) : 0;
		burn($user, -$amount - $drawn);
	}
	$user->{keys}{ $rest{key} } = { no => $no, type => $type, amount => $amount, %rest } if defined $rest{key};

	my $total = sum0(values %{ $user->{left} }) - $user->{debt};
	die "the model is wrong: user $user->{no}, entry $no" if $total != $user->{balance};
	$self->take_picture($user) if delete $self->{wanted}{ $user->{no} }{$no};
	return $no;
}

# What the summary of this moment must say.
sub take_picture
{
	my ($self, $user) = @_;
	my %picture = map { $_ => $user->{$_} } qw(balance reserved purchased granted used);

	$picture{lots} = [ map { [ $user->{expires}{$_}, $user->{left}{$_} ] } keys %{ $user->{left} } ];
	$self->{seen}{ $user->{no} }{ $user->{entries} } = \%picture;
	return;
}

# Is the next entry of the ledger the one that the model makes?
sub enter
{
	my ($self, $op, $user, $type, $amount, %rest) = @_;
	my $actual = $self->{ledger}{ $user->{no} }[ $user->{entries} ];
	$self->{outcomes}{"entry $type"}++;
	my $no = $self->book($user, $type, $amount, %rest);
	my %expected = (no => $no, type => $type, amount => $amount, balance_after => $user->{balance}, %rest);
	delete $expected{job};

	foreach my $column (qw(no type amount balance_after reverses key payment expires))
	{
		my ($is, $must) = ($actual->{$column} // 'NULL', $expected{$column} // 'NULL');
		$self->problem($op, "entry $no of user $user->{no} has $column $is, not $must") if $is ne $must;
	}
	return $no;
}

# Takes the expire entries that come next, up to the last that the operation
# made: each legal, and none missing of what had expired before the operation.
sub enter_expiries
{
	my ($self, $op, $user, $last) = @_;
	my $ledger = $self->{ledger}{ $user->{no} };
	my @before = (-1, 0);

	while ($user->{entries} < $last && $ledger->[ $user->{entries} ]{type} eq 'expire')
	{
		my $actual = $ledger->[ $user->{entries} ];
		my $lot = $actual->{reverses} // 0;
		my $left = $user->{left}{$lot} // 0;
		my $expires = $user->{expires}{$lot} // $never;

		$self->problem($op, "user $user->{no}: expire $actual->{amount} of lot $lot, where $left are left")
		  if $actual->{amount} != -$left || $left == 0;
		$self->problem($op, "user $user->{no}: lot $lot has not expired") if $expires > $op->{t1};
		$self->problem($op, "user $user->{no}: lot $lot expired out of order")
		  if ($expires <=> $before[0] || $lot <=> $before[1]) < 0;
		@before = ($expires, $lot);
		$self->enter($op, $user, 'expire', $actual->{amount}, reverses => $lot);
	}
	my $late = expired($user, $op->{t0});
	$self->problem($op, "user $user->{no}: $late credits had expired and were not swept") if $late > 0;
	return;
}

# --- what an operation must do -----------------------------------------------------

# Each returns the legal answers: answer => what it does, a hash:
#   first   expired credit is swept first
#   entries [type, amount, attributes] in order
#   after   expired credit is swept at the end; perhaps, where that depends on the clock
#   then    the rest, called with the numbers of the entries
my %decide = (
	reserve => sub {
		my ($self, $op) = @_;
		my $job = $self->{jobs}{ $op->{job} } or return { PT404 => {} };
		return { 42501 => {} } if $job->{user} != $op->{user};
		return { PT409 => {} } if $job->{status} ne 'QUEUED';
		return { $job->{taken} == $op->{amount} ? 't' : 'PT409' => {} } if $job->{open} || $job->{charged};
		return $self->taking($op, $self->{users}{ $op->{user} }, $op->{amount},
			t => hold_of($job, $op->{amount}), f => {});
	},
	retry => sub {
		my ($self, $op) = @_;
		my $job = $self->{jobs}{ $op->{job} } or return { PT404 => {} };
		return { 23514 => {} } if $job->{status} eq 'READY';
		return { $job->{reserved} => {} } if $job->{status} eq 'QUEUED';
		my $price = max($job->{reserved}, $job->{taken});
		my $queued = sub { $job->{status} = 'QUEUED'; $job->{final} = undef };
		return { 0 => { then => $queued } } if $price == 0;
		my $hold = hold_of($job, $price);
		my $opened = $hold->{then};
		$hold->{then} = sub { $queued->(); $opened->(@_) };
		return $self->taking($op, $self->{users}{ $job->{user} }, $price, $price => $hold, PT402 => {});
	},
	usage => sub {
		my ($self, $op) = @_;
		return $self->taking($op, $self->{users}{ $op->{user} }, $op->{amount},
			done => { first => 1, entries => [ [ 'usage', -$op->{amount} ] ], after => 1 }, PT402 => {});
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
		return { $job->{open} => closing($job, 0) };
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
		my $plan = $job->{open} ? closing($job, 0) : {};
		my $closed = $plan->{then} // sub { };
		my $final = $job->{open} ? 0 : $job->{final} // ($job->{hold} ? $job->{charged} : undef);
		$plan->{then} = sub { $closed->(@_); $job->{status} = 'FAILED'; $job->{final} = $final };
		return { $final // 'NULL' => $plan };
	},
	delete => sub {
		my ($self, $op) = @_;
		my $job = $self->{jobs}{ $op->{job} } or return { 0 => {} };
		my $plan = $job->{open} ? closing($job, 0) : {};
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
		my $found = $self->replay($user, $op, 'grant', $op->{amount});
		return $found ? { $found->{no} // 'PT409' => {} } : $self->adding($op, $user, 'grant', key => $op->{name});
	},
	purchase => sub { return decide_payment(@_) },
	subscription => sub { return decide_payment(@_) },
	refund => sub {
		my ($self, $op) = @_;
		my $job = $self->{jobs}{ $op->{job} } or return { PT404 => {} };
		my $user = $self->{users}{ $job->{user} };
		my $found = $self->replay($user, $op, 'refund', $op->{amount}, job => $op->{job});
		return { $found->{no} ? $op->{amount} : 'PT409' => {} } if $found;
		return { PT409 => {} } if $op->{amount} > $job->{refundable};
		return { $op->{amount} => {
			entries => [ [ 'refund', $op->{amount}, key => $op->{name}, job => $op->{job} ] ],
			then => sub { $job->{refundable} -= $op->{amount} } } };
	},
	reverse => sub {
		my ($self, $op) = @_;
		my $payment = $self->{payments}{ $op->{name} } or return { PT404 => {} };
		my $user = $self->{users}{ $payment->{user} };
		my $key = { name => $op->{extra} };
		my $found = $self->replay($user, $key, $payment->{type}, defined $op->{amount} ? -$op->{amount} : undef,
			reverses => $payment->{no});
		return { ($found->{amount} // 0) < 0 ? -$found->{amount} : 'PT409' => {} } if $found;
		my $awaited = awaited_answer($user, $payment, $op->{extra});
		return { $awaited => { then => sub { $self->{outcomes}{'reverse awaited'}++ } } } if defined $awaited;
		my $left = $payment->{amount} - $payment->{reversed};
		my $taken = $op->{amount} // $left;
		return { PT409 => {} } if $taken > $left;
		return { defined $op->{extra} ? 'PT409' : 0 => {} } if $taken == 0;
		return { $taken => {
			entries => [ [ $payment->{type}, -$taken, key => $op->{extra}, payment => $op->{name}, reverses => $payment->{no} ] ],
			then => sub {
				$payment->{reversed} += $taken;
				push @{ $payment->{standing} }, { no => $_[0], amount => -$taken };
			} } };
	},
	reinstate => sub {
		my ($self, $op) = @_;
		my $payment = $self->{payments}{ $op->{name} } or return { PT404 => {} };
		my $user = $self->{users}{ $payment->{user} };
		my $reversal = $payment->{standing}[0];
		if (defined $op->{extra})
		{
			$reversal = $self->replay($user, { name => $op->{extra} }, $payment->{type}, undef, reverses => $payment->{no});
			if (!$reversal)
			{
				my $awaited = awaited_answer($user, $payment, $op->{extra});
				return { $awaited => {} } if defined $awaited;
				return { 0 => { then => sub {
					$user->{awaited}{ $op->{extra} } = $payment->{no};
					$self->{outcomes}{'reinstate early'}++;
				} } };
			}
			return { PT409 => {} } if ($reversal->{amount} // 0) >= 0;
		}
		return { PT409 => {} } if !defined $op->{extra} && @{ $payment->{standing} } > 1;
		return { 0 => {} } if !$reversal;
		my $back = -$reversal->{amount};
		my @others = grep { $_->{no} != $reversal->{no} } @{ $payment->{standing} };
		return { $back => {} } if @others == @{ $payment->{standing} };
		return { $back => {
			entries => [ [ $payment->{type}, $back, key => "reinstates:$reversal->{no}", payment => $op->{name}, reverses => $payment->{no} ] ],
			after => 1,
			then => sub {
				$payment->{reversed} -= $back;
				$payment->{standing} = \@others;
			} } };
	},
	stale => sub { return { 0 => {} } },
);

# The answer to a reversal, or again to its reinstatement, that came first; undef if it did not.
sub awaited_answer
{
	my ($user, $payment, $key) = @_;
	my $awaited = defined $key ? $user->{awaited}{$key} : undef;

	return if !defined $awaited;
	return $awaited == $payment->{no} ? 0 : 'PT409';
}

# Taking credit: the answer for enough, the answer for too little, or both
# where it depends on the clock.
sub taking
{
	my ($self, $op, $user, $amount, $yes, $plan, $no, $nothing) = @_;
	my $at_most = $user->{balance} - expired($user, $op->{t0});
	my $at_least = $user->{balance} - expired($user, $op->{t1});

	return { $amount <= $at_most ? ($yes => $plan) : (), $amount > $at_least ? ($no => $nothing) : () };
}

sub hold_of
{
	my ($job, $amount) = @_;

	return { first => 1, entries => [ [ 'reserve', -$amount ] ],
		then => sub {
			@$job{qw(hold open taken charged reserved final)} = ($_[0], $amount, $amount, 0, $amount, undef);
		} };
}

# Closing an open hold and charging a price.
sub closing
{
	my ($job, $price, %options) = @_;

	return { %options, after => 1,
		entries => [ [ 'reserve', $job->{open}, reverses => $job->{hold} ], $price > 0 ? [ 'usage', -$price ] : () ],
		then => sub {
			@$job{qw(open charged final)} = (0, $price, $price);
			$job->{refundable} += $price;
		} };
}

sub settle
{
	my ($self, $op, $job, $price, $overrun) = @_;

	if (!$job->{open})
	{
		return { PT409 => {} } if !$job->{hold} && ($price // 0) > 0;
		$price //= $job->{taken};
		$price = min($price, $job->{taken}) if $overrun eq 'cap';
		return { $price == $job->{charged} ? $price : 'PT409' => {} };
	}
	$price //= $job->{open};
	return { $price => closing($job, $price, first => $price > 0) } if $price <= $job->{open};
	return { PT409 => {} } if $overrun eq 'error';
	return { $job->{open} => closing($job, $job->{open}, first => 1) } if $overrun eq 'cap';
	return $self->taking($op, $self->{users}{ $job->{user} }, $price - $job->{open},
		$price => closing($job, $price, first => 1), PT402 => {});
}

# The entry with the key of this operation; an empty hash for other content.
sub replay
{
	my ($self, $user, $op, $type, $amount, %content) = @_;
	my $found = defined $op->{name} ? $user->{keys}{ $op->{name} } : undef;

	return if !$found;
	return {} if $found->{type} ne $type || defined $amount && $found->{amount} != $amount;
	foreach my $column (qw(job reverses))
	{
		return {} if ($found->{$column} // '') ne ($content{$column} // '');
	}
	return $found;
}

# Credit coming in: its entry.  An expiry that has passed is a refusal of a grant; a payment is booked and expires at
# once.
sub adding
{
	my ($self, $op, $user, $type, %rest) = @_;
	my $expires = $op->{expires} // $never;
	my $plan = { entries => [ [ $type, $op->{amount}, expires => $op->{expires}, %rest ] ] };

	$plan->{then} = sub {
		$self->{payments}{ $rest{payment} } = { user => $user->{no}, no => $_[0], type => $type, amount => $op->{amount},
			expires => $op->{expires}, reversed => 0, standing => [], born => $op->{t1} };
	} if defined $rest{payment};
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
	my $plan = $answers->{ $op->{result} };

	if (!$plan)
	{
		$self->problem($op, 'answer is none of ' . join(', ', sort keys %$answers));
		$plan = {};
	}
	my @entries = @{ $plan->{entries} // [] };
	my ($user_no) = keys %spans;

	$self->problem($op, 'entries of ' . keys(%spans) . ' users') if keys %spans != (@entries ? 1 : 0);
	return $plan->{then} ? $plan->{then}->() : undef if !@entries || !$user_no;

	my $user = $self->{users}{$user_no};
	my ($first, $last) = @{ $spans{$user_no} };
	$self->problem($op, "its first entry is not " . ($user->{entries} + 1)) if $first != $user->{entries} + 1;
	$self->enter_expiries($op, $user, $last) if $plan->{first};
	my @numbers = map { $self->enter($op, $user, @$_) } @entries;
	my $swept = ($plan->{after} // 0) eq 'perhaps' ? $user->{entries} < $last : $plan->{after};
	$self->enter_expiries($op, $user, $last) if $swept;
	$self->problem($op, "its last entry is not $user->{entries}") if $last != $user->{entries};
	$plan->{then}->(@numbers) if $plan->{then};
	return;
}

# expire_credits(): any users, since it leaves out those who are busy.
sub apply_expire
{
	my ($self, $op) = @_;
	my %spans = spans_of($op);
	my $count = 0;

	foreach my $user_no (sort { $a <=> $b } keys %spans)
	{
		my $user = $self->{users}{$user_no};
		my ($first, $last) = @{ $spans{$user_no} };
		$self->problem($op, "user $user_no: its first entry is not " . ($user->{entries} + 1)) if $first != $user->{entries} + 1;
		$self->enter_expiries($op, $user, $last);
		$self->problem($op, "user $user_no: its last entry is not $user->{entries}") if $last != $user->{entries};
		$count += $last - $first + 1;
	}
	$self->problem($op, "it made $count entries") if $op->{result} ne $count;
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
	my $row = defined $op->{job} ? $self->{jobs}{ $op->{job} } : $self->{payments}{ $op->{name} // '' };

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
		my $outcome = $op->{operation} =~ /^(balance|summary)$/ ? 'read'
		  : is_loose($op) || $op->{result} =~ /^(t|f|done|NULL)$/ ? $op->{result}
		  : $op->{spans} ? 'moved' : $op->{result} eq '0' ? '0' : 'as before';
		$self->{outcomes}{"$op->{operation} $outcome"}++;
		if ($outcome eq 'read')
		{
			push @reads, $op;
			$self->{wanted}{ $op->{user} }{ $op->{entries} } = 1 if $op->{operation} eq 'summary';
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
		$op->{operation} eq 'expire' ? $self->apply_expire($op) : $self->apply($op);
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

# The final state: accounts (user => [balance, reserved, entries]) and jobs
# (job => [user, status, reserved, final]), and no expired credit left.
sub check_end
{
	my ($self, $accounts, $jobs, $now) = @_;

	foreach my $user (values %{ $self->{users} })
	{
		my $is = join '|', @{ $accounts->{ $user->{no} } };
		my $must = join '|', @$user{qw(balance reserved entries)};
		$self->problem(undef, "account of user $user->{no}: $is, not $must") if $is ne $must;
		$self->problem(undef, "user $user->{no} has more entries") if @{ $self->{ledger}{ $user->{no} } } != $user->{entries};
		$self->problem(undef, "user $user->{no} has expired credit") if expired($user, $now) > 0;
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
