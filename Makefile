# studio_engine: jobs, credits and drafts of an AI content studio
#
#   make && make install    build and install with the server of PG_CONFIG
#   make demo               the story of the product on a throwaway server
#   make test               everything that must hold, on a throwaway server

EXTENSION  = studio_engine
EXTVERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" $(EXTENSION).control)

# --- the shared library -------------------------------------------------
MODULE_big  = $(EXTENSION)
OBJS        = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c src/*/*.c)))
PGFILEDESC  = "studio_engine - back end of an AI content studio"
PG_CPPFLAGS = -DSTUDIO_ENGINE_VERSION='"$(EXTVERSION)"'
# headers are found by their names; what is given with -I would be searched for those of the system too
PG_CPPFLAGS += $(patsubst %/,-iquote %,$(wildcard src/*/))
PG_CFLAGS   = -Wall -Wextra -Wno-unused-parameter
# What the server looks up by name is exported and nothing else: a library that is loaded before ours would
# stand in for any other symbol of the same name, and ours for those of libraries that come later.  16 hides
# the rest with -fvisibility=hidden; the headers of 15 do not mark what has to stay visible, so that a list is
# given to the linker, by PostgreSQL's own rule for libpq, which is the same on every version and linker.
# -Bsymbolic would keep others out of our calls, but not our names out of theirs.
SHLIB_EXPORTS = exports.txt

# --- the install script -------------------------------------------------
# api/ is code and belongs to the extension; tables/ and attach/ are data
# layer: plain SQL that runs inside one plpgsql block, as the owner of the data,
# and is released.
INSTALL_SQL = $(EXTENSION)--$(EXTVERSION).sql
API         = $(sort $(wildcard sql/api/*.sql))
TABLES      = $(sort $(wildcard sql/tables/*.sql))
ATTACH      = $(filter-out sql/attach/90_auth.sql,$(sort $(wildcard sql/attach/*.sql)))
ATTACH_AUTH = sql/attach/90_auth.sql
IMPORT      = sql/import/studio_engine_import_seed.sql
DATA        = $(wildcard sql/releases/*.sql) sql/stub/studio_engine_supabase_stub.sql $(IMPORT)
DATA_built  = $(INSTALL_SQL)
EXTRA_CLEAN = .typedefs exports.txt exports.list test/output types

# --- make installcheck --------------------------------------------------
# The suites regress and isolation of test/run.sh, by PGXS, on a server that runs and has the extension installed.  In
# test/sql the first script makes what all need; the specs find a database that has it.
REGRESS        = $(patsubst test/sql/%.sql,%,$(sort $(wildcard test/sql/*.sql)))
REGRESS_OPTS   = --inputdir=test
ISOLATION      = $(patsubst test/isolation/specs/%.spec,%,$(sort $(wildcard test/isolation/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test/isolation --use-existing
REGRESS_PREP   = isolation-database

# demo and test install what is missing, so they must start without PGXS
OLDEST_MAJOR = 15
PG_CONFIG ?= pg_config
PGXS := $(wildcard $(shell $(PG_CONFIG) --pgxs 2>/dev/null))
MAJOR := $(shell $(PG_CONFIG) --version 2>/dev/null | sed 's/^PostgreSQL \([0-9]*\).*/\1/')
ifeq ($(PGXS),)
REFUSAL = PostgreSQL server headers not found: install them (Debian: postgresql-server-dev-$(OLDEST_MAJOR)) or set PG_CONFIG
else ifneq ($(shell test '$(MAJOR)' -ge $(OLDEST_MAJOR) && echo new enough),new enough)
REFUSAL = PostgreSQL $(OLDEST_MAJOR) or newer is needed, and $(PG_CONFIG) is of PostgreSQL $(MAJOR): set PG_CONFIG
endif
all:
ifndef REFUSAL
include $(PGXS)
else
all install installcheck clean:
	@echo '$(REFUSAL)' >&2; exit 1
endif

MODE = current_setting('studio_setup.mode')

# relation_names() of relations.c, the one list of our tables
RELATIONS   = $(wildcard src/relations.c src/*/relations.c)
TABLE_NAMES = sed -n '/^static const char \*const names\[\] = {/,/^};/p' $(RELATIONS) | grep -o '"[a-z_]*"' | tr -d '"' | paste -s -d , -

# what begin.sql looks for before anything is created
NAMES_OF    = $$(awk -v what=$(1) -f sql/install/names.awk $(TABLES) $(API) $(IMPORT))
NAME_LISTS  = relations types functions event_triggers documented comments

$(INSTALL_SQL): sql/install/begin.sql sql/install/names.awk $(API) $(TABLES) $(ATTACH) $(ATTACH_AUTH) sql/install/release.sql $(IMPORT) $(RELATIONS) $(EXTENSION).control Makefile
	{ printf '%s\n' '\echo Use "CREATE EXTENSION $(EXTENSION)" to load this file. \quit'; \
	  sed "s/@tables@/$$($(TABLE_NAMES))/$(foreach list,$(NAME_LISTS),;s/@$(list)@/$(call NAMES_OF,$(list))/)" sql/install/begin.sql; cat $(API); \
	  echo 'DO $$studio$$ BEGIN'; \
	  echo "IF current_setting('studio_setup.hooks')::boolean THEN"; cat $(ATTACH_AUTH); echo 'END IF;'; \
	  echo "IF $(MODE) <> 'restore' THEN PERFORM studio_engine.run_as_data_owner(\$$script\$$"; \
	  echo 'DO $$data$$ BEGIN'; \
	  echo "IF $(MODE) = 'install' THEN"; cat $(TABLES); echo 'END IF;'; \
	  cat $(ATTACH); \
	  echo 'END $$data$$ $$script$$); END IF;'; \
	  echo 'END $$studio$$;'; \
	  cat sql/install/release.sql; } > $@

# the entry points; test/lint/symbols.sh compares them with the declarations in SQL
exports.txt: $(OBJS:.o=.c) Makefile
	{ echo Pg_magic_func; echo _PG_init; \
	  sed -n 's/^PG_FUNCTION_INFO_V1(\(.*\));.*/\1\npg_finfo_\1/p' $(OBJS:.o=.c); } > $@

# PGXS does not track headers
$(OBJS): $(wildcard src/*.h src/*/*.h) $(EXTENSION).control

# what the tests run by name is this server's
installcheck isolation-database: export PG_CONFIG := $(PG_CONFIG)
installcheck: export PATH := $(bindir):$(PATH)
installcheck: export PGISOLATIONTIMEOUT := 60

isolation-database:
	test/lib/prepare_installcheck.sh '$(ISOLATION_TESTDB)'

# --- two commands -------------------------------------------------------
.PHONY: isolation-database demo test soak valgrind sanitize bench bench-compare types lint indent

demo:
	test/demo/run.sh

test:
	test/run.sh

# the model of the credits against 200,000 operations, 200,000 jobs, and as many calls of one session; SOAK_SEED=... repeats a run
soak:
	SOAK_OPERATIONS=$${SOAK_OPERATIONS:-200000} test/run.sh soak

# the regress suite on a server in valgrind's memcheck; VALGRIND_SCRIPTS='330_queue ...' for some of it
valgrind:
	VALGRIND_SCRIPTS="$${VALGRIND_SCRIPTS:-}" test/run.sh valgrind

# on a server that is built from its source package with AddressSanitizer and UBSan: the regress suite, and
# SANITIZE_MINUTES of load with changes of the tables in it; SANITIZE_SERVER=directory keeps the server
sanitize:
	SANITIZE_SERVER="$${SANITIZE_SERVER:-}" SANITIZE_MINUTES="$${SANITIZE_MINUTES:-}" test/run.sh sanitize

# figures against twins in PL/pgSQL and other queues; QUICK=1 ends within 3 minutes
bench:
	test/bench/run.sh

# another checkout and this one side by side: make bench-compare BASE=directory
bench-compare:
	test/bench/compare.sh '$(BASE)'

# what supabase-js compiles against, for a database with nothing but this extension
types:
	test/rest/types/make.sh

lint:
	test/run.sh lint

# Debian 12 has pg_bsd_indent 2.1.1, and the headers of PostgreSQL 16 and later come with 2.1.2.  These two leave
# our sources alike as long as initializers of several lines stand in parentheses, see test/lint/indent.sh; others
# may not.  The typedef names that it needs are in our own debug information.
PG_BSD_INDENT ?= $(firstword $(wildcard $(addsuffix /pg_bsd_indent,$(subst :, ,$(PATH)) $(shell $(PG_CONFIG) --bindir 2>/dev/null))) pg_bsd_indent)
PGINDENT = $(PG_BSD_INDENT) -bad -bap -bbb -bc -bl -cli1 -cp33 -cdb -nce -d0 -di12 \
	-nfc1 -i4 -l79 -lp -lpl -nip -npro -sac -tpg -ts4 -U.typedefs

indent: $(OBJS)
	@$(PG_BSD_INDENT) --version | grep -q ' 2\.1\.[12] ' || \
	  { echo 'make indent wants pg_bsd_indent 2.1.1 or 2.1.2, $(PG_BSD_INDENT) is another or not there' >&2; exit 1; }
	objdump -Wi $(OBJS) | awk '/DW_TAG_typedef/ {t = 1; next} t && /DW_AT_name/ {sub(/.*: /, ""); print; t = 0}' | sort -u > .typedefs
	for f in $(wildcard src/*.[ch] src/*/*.[ch]); do \
	  $(PGINDENT) $$f $$f.tmp && sed -E 's/^([A-Za-z_][^ \t]*)[ \t]+\*$$/\1 */' $$f.tmp > $$f && rm $$f.tmp || exit 1; \
	done
