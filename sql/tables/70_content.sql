-- Companies, their people, and the courses that are written for them.
-- Pitfall: an installation may have companies and employees of its own. Then
-- these are used as they are: no column, policy or grant of theirs is touched.

IF to_regclass('@extschema@.companies') IS NULL AND to_regclass('@extschema@.employees') IS NULL THEN
  CREATE TABLE @extschema@.companies (
    id UUID DEFAULT gen_random_uuid(),
    name TEXT NOT NULL,
    created_at TIMESTAMPTZ DEFAULT NOW(),
    CONSTRAINT companies_pkey PRIMARY KEY (id)
  );
  CREATE TABLE @extschema@.employees (
    id UUID DEFAULT gen_random_uuid(),
    company_id UUID NOT NULL,
    user_id UUID,
    name TEXT NOT NULL,
    email TEXT,
    created_at TIMESTAMPTZ DEFAULT NOW(),
    CONSTRAINT employees_pkey PRIMARY KEY (id),
    CONSTRAINT employees_company_id_fkey FOREIGN KEY (company_id) REFERENCES @extschema@.companies (id) ON DELETE CASCADE,
    CONSTRAINT employees_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users (id) ON DELETE SET NULL
  );
  CREATE INDEX idx_employees_company ON @extschema@.employees (company_id);
  CREATE INDEX idx_employees_user ON @extschema@.employees (user_id);
  ALTER TABLE @extschema@.companies ENABLE ROW LEVEL SECURITY;
  ALTER TABLE @extschema@.employees ENABLE ROW LEVEL SECURITY;

  COMMENT ON TABLE @extschema@.companies IS
'Companies whose people learn.

A user reads those of which he is an employee.';
  COMMENT ON COLUMN @extschema@.companies.id IS 'Identifier';
  COMMENT ON COLUMN @extschema@.companies.name IS 'Name';
  COMMENT ON COLUMN @extschema@.companies.created_at IS 'When the row was made';

  COMMENT ON TABLE @extschema@.employees IS
'People of a company.

The row that has the id of a user lets him read what belongs to the company.';
  COMMENT ON COLUMN @extschema@.employees.id IS 'Identifier';
  COMMENT ON COLUMN @extschema@.employees.company_id IS 'The company';
  COMMENT ON COLUMN @extschema@.employees.user_id IS 'The user, auth.users.id; NULL for a person who does not sign in';
  COMMENT ON COLUMN @extschema@.employees.name IS 'Name';
  COMMENT ON COLUMN @extschema@.employees.email IS 'Address';
  COMMENT ON COLUMN @extschema@.employees.created_at IS 'When the row was made';

  INSERT INTO studio_engine.meta (name, value) VALUES ('companies', 'own');
ELSE
  DECLARE
    v_missing text;
  BEGIN
    SELECT string_agg(w.what, ', ' ORDER BY w.position) INTO v_missing
      FROM (SELECT n.position, format('%s.%s uuid', n.tbl, n.col) AS what, EXISTS (
                     SELECT FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
                      WHERE c.oid = to_regclass('@extschema@.' || n.tbl) AND c.relkind IN ('r', 'p')
                        AND a.attname = n.col AND a.atttypid = 'uuid'::regtype AND NOT a.attisdropped) AS present
              FROM (VALUES (1, 'companies', 'id'), (2, 'employees', 'id'), (3, 'employees', 'company_id'),
                           (4, 'employees', 'user_id')) AS n (position, tbl, col)
            UNION ALL
            SELECT n.position, format('a primary key or unique constraint on %s.id', n.tbl), EXISTS (
                     SELECT FROM pg_index i
                      WHERE i.indrelid = to_regclass('@extschema@.' || n.tbl) AND i.indisunique AND i.indimmediate
                        AND i.indpred IS NULL AND i.indnkeyatts = 1
                        AND i.indkey[0] = (SELECT a.attnum FROM pg_attribute a
                                            WHERE a.attrelid = i.indrelid AND a.attname = 'id')) AS present
              FROM (VALUES (5, 'companies'), (6, 'employees')) AS n (position, tbl)
           ) AS w
     WHERE NOT w.present;
    IF v_missing IS NOT NULL THEN
      RAISE EXCEPTION USING
        ERRCODE = 'object_not_in_prerequisite_state',
        MESSAGE = 'tables companies and employees are there, but studio_engine cannot use them',
        DETAIL = format('Missing: %s.', v_missing),
        HINT = 'Both must be tables with these columns; or rename them, and studio_engine makes its own.';
    END IF;
    IF NOT has_column_privilege('authenticated', to_regclass('@extschema@.employees'), 'company_id', 'SELECT')
       OR NOT has_column_privilege('authenticated', to_regclass('@extschema@.employees'), 'user_id', 'SELECT') THEN
      RAISE WARNING USING
        MESSAGE = 'users cannot read table employees, and so no content of their companies',
        HINT = 'GRANT SELECT (company_id, user_id) ON employees TO authenticated, with a policy that shows a user his own rows.';
    END IF;
  END;
  INSERT INTO studio_engine.meta (name, value) VALUES ('companies', 'mapped');
END IF;

CREATE TABLE @extschema@.cm_module_content (
  content_id UUID DEFAULT gen_random_uuid(),
  company_id UUID,
  module_name TEXT NOT NULL,
  employee_name TEXT,
  session_id TEXT,
  introduction TEXT,
  core_content TEXT,
  practical_applications TEXT,
  case_studies TEXT,
  assessments TEXT,
  module_spec JSONB DEFAULT '{}',
  research_context JSONB DEFAULT '{}',
  total_word_count INTEGER NOT NULL DEFAULT 0,
  section_word_counts JSONB NOT NULL DEFAULT '{}',
  status TEXT NOT NULL DEFAULT 'draft',
  priority_level TEXT DEFAULT 'medium',
  revision_count INTEGER NOT NULL DEFAULT 0,
  created_at TIMESTAMPTZ DEFAULT NOW(),
  updated_at TIMESTAMPTZ DEFAULT NOW(),
  archived_at TIMESTAMPTZ,
  CONSTRAINT cm_module_content_pkey PRIMARY KEY (content_id),
  CONSTRAINT cm_module_content_company_id_fkey FOREIGN KEY (company_id) REFERENCES @extschema@.companies (id) ON DELETE CASCADE,
  CONSTRAINT cm_module_content_status_check CHECK (status IN (
    'draft', 'quality_check', 'approved', 'revision', 'failed'
  )),
  CONSTRAINT cm_module_content_priority_level_check CHECK (priority_level IN ('critical', 'high', 'medium', 'low')),
  CONSTRAINT cm_module_content_revision_count_check CHECK (revision_count >= 0)
);
CREATE INDEX idx_cm_module_content_company ON @extschema@.cm_module_content (company_id);
CREATE INDEX idx_cm_module_content_session ON @extschema@.cm_module_content (session_id);
CREATE INDEX idx_cm_module_content_status ON @extschema@.cm_module_content (status);
CREATE INDEX idx_cm_module_content_old ON @extschema@.cm_module_content (updated_at)
  WHERE archived_at IS NULL AND status IN ('approved', 'failed');

CREATE TABLE @extschema@.cm_course_plans (
  plan_id UUID DEFAULT gen_random_uuid(),
  employee_id UUID,
  employee_name TEXT,
  session_id TEXT,
  course_structure JSONB DEFAULT '{}',
  prioritized_gaps JSONB DEFAULT '{}',
  research_strategy JSONB DEFAULT '{}',
  learning_path JSONB DEFAULT '{}',
  employee_profile JSONB DEFAULT '{}',
  total_modules INTEGER DEFAULT 0,
  course_duration_weeks INTEGER,
  course_title TEXT,
  status TEXT NOT NULL DEFAULT 'draft',
  created_at TIMESTAMPTZ DEFAULT NOW(),
  company_id UUID,
  updated_at TIMESTAMPTZ DEFAULT NOW(),
  CONSTRAINT cm_course_plans_pkey PRIMARY KEY (plan_id),
  CONSTRAINT cm_course_plans_employee_id_fkey FOREIGN KEY (employee_id) REFERENCES @extschema@.employees (id) ON DELETE CASCADE,
  CONSTRAINT cm_course_plans_company_id_fkey FOREIGN KEY (company_id) REFERENCES @extschema@.companies (id) ON DELETE CASCADE,
  CONSTRAINT cm_course_plans_status_check CHECK (status IN ('draft', 'active', 'completed', 'failed')),
  CONSTRAINT cm_course_plans_total_modules_check CHECK (total_modules >= 0),
  CONSTRAINT cm_course_plans_course_duration_weeks_check CHECK (course_duration_weeks >= 0)
);
CREATE INDEX idx_cm_course_plans_employee ON @extschema@.cm_course_plans (employee_id);
CREATE INDEX idx_cm_course_plans_company ON @extschema@.cm_course_plans (company_id);
CREATE INDEX idx_cm_course_plans_session ON @extschema@.cm_course_plans (session_id);
CREATE INDEX idx_cm_course_plans_status ON @extschema@.cm_course_plans (status);

CREATE TABLE @extschema@.cm_research_results (
  research_id UUID DEFAULT gen_random_uuid(),
  plan_id UUID,
  session_id TEXT,
  research_findings JSONB DEFAULT '{}',
  content_library JSONB DEFAULT '{}',
  module_mappings JSONB DEFAULT '{}',
  total_topics INTEGER DEFAULT 0,
  total_sources INTEGER DEFAULT 0,
  search_queries TEXT[] DEFAULT '{}',
  sources_analyzed TEXT[] DEFAULT '{}',
  status TEXT NOT NULL DEFAULT 'pending',
  created_at TIMESTAMPTZ DEFAULT NOW(),
  updated_at TIMESTAMPTZ DEFAULT NOW(),
  company_id UUID,
  CONSTRAINT cm_research_results_pkey PRIMARY KEY (research_id),
  CONSTRAINT cm_research_results_plan_id_fkey FOREIGN KEY (plan_id) REFERENCES @extschema@.cm_course_plans (plan_id) ON DELETE CASCADE,
  CONSTRAINT cm_research_results_company_id_fkey FOREIGN KEY (company_id) REFERENCES @extschema@.companies (id) ON DELETE CASCADE,
  CONSTRAINT cm_research_results_status_check CHECK (status IN ('pending', 'in_progress', 'completed', 'failed')),
  CONSTRAINT cm_research_results_total_topics_check CHECK (total_topics >= 0),
  CONSTRAINT cm_research_results_total_sources_check CHECK (total_sources >= 0)
);
CREATE INDEX idx_cm_research_results_plan ON @extschema@.cm_research_results (plan_id);
CREATE INDEX idx_cm_research_results_company ON @extschema@.cm_research_results (company_id);
CREATE INDEX idx_cm_research_results_session ON @extschema@.cm_research_results (session_id);
CREATE INDEX idx_cm_research_results_status ON @extschema@.cm_research_results (status);

CREATE TABLE @extschema@.cm_quality_assessments (
  assessment_id UUID DEFAULT gen_random_uuid(),
  content_id UUID NOT NULL,
  overall_score DOUBLE PRECISION,
  section_scores JSONB DEFAULT '{}',
  accuracy_score DOUBLE PRECISION,
  clarity_score DOUBLE PRECISION,
  completeness_score DOUBLE PRECISION,
  engagement_score DOUBLE PRECISION,
  personalization_score DOUBLE PRECISION,
  quality_feedback TEXT,
  passed BOOLEAN,
  requires_revision BOOLEAN,
  sections_needing_work TEXT[] DEFAULT '{}',
  critical_issues TEXT[] DEFAULT '{}',
  assessed_at TIMESTAMPTZ DEFAULT NOW(),
  company_id UUID,
  CONSTRAINT cm_quality_assessments_pkey PRIMARY KEY (assessment_id),
  CONSTRAINT cm_quality_assessments_content_id_fkey FOREIGN KEY (content_id)
    REFERENCES @extschema@.cm_module_content (content_id) ON DELETE CASCADE,
  CONSTRAINT cm_quality_assessments_company_id_fkey FOREIGN KEY (company_id) REFERENCES @extschema@.companies (id) ON DELETE CASCADE,
  CONSTRAINT cm_quality_assessments_overall_score_check CHECK (overall_score BETWEEN 0 AND 10),
  CONSTRAINT cm_quality_assessments_accuracy_score_check CHECK (accuracy_score BETWEEN 0 AND 10),
  CONSTRAINT cm_quality_assessments_clarity_score_check CHECK (clarity_score BETWEEN 0 AND 10),
  CONSTRAINT cm_quality_assessments_completeness_score_check CHECK (completeness_score BETWEEN 0 AND 10),
  CONSTRAINT cm_quality_assessments_engagement_score_check CHECK (engagement_score BETWEEN 0 AND 10),
  CONSTRAINT cm_quality_assessments_personalization_score_check CHECK (personalization_score BETWEEN 0 AND 10),
  CONSTRAINT cm_quality_assessments_sections_check CHECK (
    sections_needing_work <@ ARRAY['introduction', 'core_content', 'practical_applications', 'case_studies', 'assessments']
  )
);
CREATE INDEX idx_cm_quality_assessments_content ON @extschema@.cm_quality_assessments (content_id, assessed_at DESC);
CREATE INDEX idx_cm_quality_assessments_company ON @extschema@.cm_quality_assessments (company_id);

CREATE TABLE @extschema@.cm_enhancement_sessions (
  session_id UUID DEFAULT gen_random_uuid(),
  content_id UUID NOT NULL,
  quality_assessment_id UUID,
  enhancement_type TEXT,
  sections_to_enhance TEXT[] DEFAULT '{}',
  sections_preserved TEXT[] DEFAULT '{}',
  research_conducted BOOLEAN DEFAULT false,
  content_regenerated BOOLEAN DEFAULT false,
  status TEXT NOT NULL DEFAULT 'started',
  created_at TIMESTAMPTZ DEFAULT NOW(),
  completed_at TIMESTAMPTZ,
  updated_at TIMESTAMPTZ DEFAULT NOW(),
  company_id UUID,
  CONSTRAINT cm_enhancement_sessions_pkey PRIMARY KEY (session_id),
  CONSTRAINT cm_enhancement_sessions_content_id_fkey FOREIGN KEY (content_id)
    REFERENCES @extschema@.cm_module_content (content_id) ON DELETE CASCADE,
  CONSTRAINT cm_enhancement_sessions_company_id_fkey FOREIGN KEY (company_id) REFERENCES @extschema@.companies (id) ON DELETE CASCADE,
  CONSTRAINT cm_enhancement_sessions_quality_assessment_id_fkey FOREIGN KEY (quality_assessment_id)
    REFERENCES @extschema@.cm_quality_assessments (assessment_id) ON DELETE SET NULL,
  CONSTRAINT cm_enhancement_sessions_status_check CHECK (status IN ('started', 'processing', 'completed', 'failed')),
  CONSTRAINT cm_enhancement_sessions_sections_check CHECK (
    sections_to_enhance || sections_preserved
      <@ ARRAY['introduction', 'core_content', 'practical_applications', 'case_studies', 'assessments']
  )
);
CREATE INDEX idx_cm_enhancement_sessions_content ON @extschema@.cm_enhancement_sessions (content_id);
CREATE INDEX idx_cm_enhancement_sessions_company ON @extschema@.cm_enhancement_sessions (company_id);
CREATE INDEX idx_cm_enhancement_sessions_assessment ON @extschema@.cm_enhancement_sessions (quality_assessment_id);
CREATE INDEX idx_cm_enhancement_sessions_status ON @extschema@.cm_enhancement_sessions (status);

-- What full-text search reads. It is a table of its own, so that clients who read
-- whole rows of content do not get it, and an update of a status does not copy it.
CREATE TABLE studio_engine.content_search (
  content_id uuid NOT NULL,
  section text NOT NULL,
  part integer NOT NULL,
  configuration text NOT NULL,
  words tsvector NOT NULL,
  company_id uuid,
  CONSTRAINT content_search_pkey PRIMARY KEY (content_id, section, part),
  CONSTRAINT content_search_content_id_fkey FOREIGN KEY (content_id)
    REFERENCES @extschema@.cm_module_content (content_id) ON DELETE CASCADE
);
CREATE INDEX idx_content_search_words ON studio_engine.content_search USING gin (words);

ALTER TABLE @extschema@.cm_module_content ENABLE ROW LEVEL SECURITY;
ALTER TABLE @extschema@.cm_course_plans ENABLE ROW LEVEL SECURITY;
ALTER TABLE @extschema@.cm_research_results ENABLE ROW LEVEL SECURITY;
ALTER TABLE @extschema@.cm_quality_assessments ENABLE ROW LEVEL SECURITY;
ALTER TABLE @extschema@.cm_enhancement_sessions ENABLE ROW LEVEL SECURITY;
ALTER TABLE studio_engine.content_search ENABLE ROW LEVEL SECURITY;

COMMENT ON TABLE @extschema@.cm_module_content IS
'Modules of courses, section by section.

create_module_content() creates them. A user reads those of his companies.';
COMMENT ON COLUMN @extschema@.cm_module_content.content_id IS 'Identifier';
COMMENT ON COLUMN @extschema@.cm_module_content.company_id IS 'Company that the module belongs to; NULL: seen by services only';
COMMENT ON COLUMN @extschema@.cm_module_content.module_name IS 'Name of the module';
COMMENT ON COLUMN @extschema@.cm_module_content.employee_name IS 'The learner, for personalization';
COMMENT ON COLUMN @extschema@.cm_module_content.session_id IS 'Session of the agents that write it, in their words';
COMMENT ON COLUMN @extschema@.cm_module_content.introduction IS 'Section: introduction';
COMMENT ON COLUMN @extschema@.cm_module_content.core_content IS 'Section: main content';
COMMENT ON COLUMN @extschema@.cm_module_content.practical_applications IS 'Section: practical examples';
COMMENT ON COLUMN @extschema@.cm_module_content.case_studies IS 'Section: case studies';
COMMENT ON COLUMN @extschema@.cm_module_content.assessments IS 'Section: questions and exercises';
COMMENT ON COLUMN @extschema@.cm_module_content.module_spec IS 'What the module is to be';
COMMENT ON COLUMN @extschema@.cm_module_content.research_context IS 'Findings of the research that it is written from';
COMMENT ON COLUMN @extschema@.cm_module_content.total_word_count IS 'Words of all sections; maintained by a trigger';
COMMENT ON COLUMN @extschema@.cm_module_content.section_word_counts IS 'Words of each section; maintained by a trigger';
COMMENT ON COLUMN @extschema@.cm_module_content.status IS 'draft, quality_check, approved, revision or failed; changed only along workflow_transitions(). Approved content whose sections change is in revision';
COMMENT ON COLUMN @extschema@.cm_module_content.priority_level IS 'critical, high, medium or low';
COMMENT ON COLUMN @extschema@.cm_module_content.revision_count IS 'How often it went from revision to quality_check; maintained by a trigger';
COMMENT ON COLUMN @extschema@.cm_module_content.created_at IS 'When it was made';
COMMENT ON COLUMN @extschema@.cm_module_content.updated_at IS 'When it was last changed; maintained by a trigger';
COMMENT ON COLUMN @extschema@.cm_module_content.archived_at IS 'When it was archived, which hides it from search; NULL brings it back';

COMMENT ON TABLE @extschema@.cm_course_plans IS
'Course plans of employees.

create_course_plan() creates them. A user reads those of his companies.';
COMMENT ON COLUMN @extschema@.cm_course_plans.plan_id IS 'Identifier';
COMMENT ON COLUMN @extschema@.cm_course_plans.employee_id IS 'The employee that the course is for';
COMMENT ON COLUMN @extschema@.cm_course_plans.employee_name IS 'Name of the employee';
COMMENT ON COLUMN @extschema@.cm_course_plans.session_id IS 'Session of the agents that plan it, in their words';
COMMENT ON COLUMN @extschema@.cm_course_plans.course_structure IS 'The whole course with its modules';
COMMENT ON COLUMN @extschema@.cm_course_plans.prioritized_gaps IS 'Skills that are missing';
COMMENT ON COLUMN @extschema@.cm_course_plans.research_strategy IS 'How to research it';
COMMENT ON COLUMN @extschema@.cm_course_plans.learning_path IS 'The way through the course';
COMMENT ON COLUMN @extschema@.cm_course_plans.employee_profile IS 'Facts about the employee';
COMMENT ON COLUMN @extschema@.cm_course_plans.total_modules IS 'Number of modules';
COMMENT ON COLUMN @extschema@.cm_course_plans.course_duration_weeks IS 'Estimated duration in weeks';
COMMENT ON COLUMN @extschema@.cm_course_plans.course_title IS 'Title';
COMMENT ON COLUMN @extschema@.cm_course_plans.status IS 'draft, active, completed or failed; changed only along workflow_transitions()';
COMMENT ON COLUMN @extschema@.cm_course_plans.created_at IS 'When it was made';
COMMENT ON COLUMN @extschema@.cm_course_plans.company_id IS 'Company of the employee when the plan was made; filled in by a trigger';
COMMENT ON COLUMN @extschema@.cm_course_plans.updated_at IS 'When it was last changed; maintained by a trigger';

COMMENT ON TABLE @extschema@.cm_research_results IS
'Research for course plans.

store_research_results() writes it. A user reads that of his companies.';
COMMENT ON COLUMN @extschema@.cm_research_results.research_id IS 'Identifier';
COMMENT ON COLUMN @extschema@.cm_research_results.plan_id IS 'The course plan';
COMMENT ON COLUMN @extschema@.cm_research_results.session_id IS 'Session of the agents, in their words';
COMMENT ON COLUMN @extschema@.cm_research_results.research_findings IS 'The results';
COMMENT ON COLUMN @extschema@.cm_research_results.content_library IS 'Sources worth using';
COMMENT ON COLUMN @extschema@.cm_research_results.module_mappings IS 'What belongs to which module';
COMMENT ON COLUMN @extschema@.cm_research_results.total_topics IS 'Number of topics';
COMMENT ON COLUMN @extschema@.cm_research_results.total_sources IS 'Number of sources';
COMMENT ON COLUMN @extschema@.cm_research_results.search_queries IS 'Queries that were used';
COMMENT ON COLUMN @extschema@.cm_research_results.sources_analyzed IS 'Sources that were read';
COMMENT ON COLUMN @extschema@.cm_research_results.status IS 'pending, in_progress, completed or failed; changed only along workflow_transitions()';
COMMENT ON COLUMN @extschema@.cm_research_results.created_at IS 'When it was made';
COMMENT ON COLUMN @extschema@.cm_research_results.updated_at IS 'When it was last changed; maintained by a trigger';
COMMENT ON COLUMN @extschema@.cm_research_results.company_id IS 'Company of the course plan; filled in by a trigger. NULL: seen by services only';

COMMENT ON TABLE @extschema@.cm_quality_assessments IS
'Quality assessments of modules.

store_quality_assessment() writes them. A user reads those of his companies.';
COMMENT ON COLUMN @extschema@.cm_quality_assessments.assessment_id IS 'Identifier';
COMMENT ON COLUMN @extschema@.cm_quality_assessments.content_id IS 'The content';
COMMENT ON COLUMN @extschema@.cm_quality_assessments.overall_score IS 'Score as a whole, 0 to 10';
COMMENT ON COLUMN @extschema@.cm_quality_assessments.section_scores IS 'Score of each section, 0 to 10';
COMMENT ON COLUMN @extschema@.cm_quality_assessments.accuracy_score IS 'Accuracy, 0 to 10';
COMMENT ON COLUMN @extschema@.cm_quality_assessments.clarity_score IS 'Clarity, 0 to 10';
COMMENT ON COLUMN @extschema@.cm_quality_assessments.completeness_score IS 'Completeness, 0 to 10';
COMMENT ON COLUMN @extschema@.cm_quality_assessments.engagement_score IS 'Engagement, 0 to 10';
COMMENT ON COLUMN @extschema@.cm_quality_assessments.personalization_score IS 'Personalization, 0 to 10';
COMMENT ON COLUMN @extschema@.cm_quality_assessments.quality_feedback IS 'Feedback in words';
COMMENT ON COLUMN @extschema@.cm_quality_assessments.passed IS 'True if the content passed';
COMMENT ON COLUMN @extschema@.cm_quality_assessments.requires_revision IS 'True if the content has to be revised';
COMMENT ON COLUMN @extschema@.cm_quality_assessments.sections_needing_work IS 'Sections that have to be improved';
COMMENT ON COLUMN @extschema@.cm_quality_assessments.critical_issues IS 'Issues that have to be resolved';
COMMENT ON COLUMN @extschema@.cm_quality_assessments.assessed_at IS 'When it was assessed';
COMMENT ON COLUMN @extschema@.cm_quality_assessments.company_id IS 'Company of the content; filled in by a trigger. NULL: seen by services only';

COMMENT ON TABLE @extschema@.cm_enhancement_sessions IS
'Sessions in which modules are improved after an assessment.

start_enhancement_session() creates them. A user reads those of his companies.';
COMMENT ON COLUMN @extschema@.cm_enhancement_sessions.session_id IS 'Identifier';
COMMENT ON COLUMN @extschema@.cm_enhancement_sessions.content_id IS 'The content';
COMMENT ON COLUMN @extschema@.cm_enhancement_sessions.quality_assessment_id IS 'The assessment that asked for it';
COMMENT ON COLUMN @extschema@.cm_enhancement_sessions.enhancement_type IS 'Kind of work';
COMMENT ON COLUMN @extschema@.cm_enhancement_sessions.sections_to_enhance IS 'Sections that are worked on';
COMMENT ON COLUMN @extschema@.cm_enhancement_sessions.sections_preserved IS 'Sections that stay as they are';
COMMENT ON COLUMN @extschema@.cm_enhancement_sessions.research_conducted IS 'True if there was new research';
COMMENT ON COLUMN @extschema@.cm_enhancement_sessions.content_regenerated IS 'True if the content was generated again';
COMMENT ON COLUMN @extschema@.cm_enhancement_sessions.status IS 'started, processing, completed or failed; changed only along workflow_transitions()';
COMMENT ON COLUMN @extschema@.cm_enhancement_sessions.created_at IS 'When it was started';
COMMENT ON COLUMN @extschema@.cm_enhancement_sessions.completed_at IS 'When it was completed; maintained by a trigger';
COMMENT ON COLUMN @extschema@.cm_enhancement_sessions.updated_at IS 'When it was last changed; maintained by a trigger';
COMMENT ON COLUMN @extschema@.cm_enhancement_sessions.company_id IS 'Company of the content; filled in by a trigger. NULL: seen by services only';

COMMENT ON TABLE studio_engine.content_search IS
'Search words of modules that are not archived.

A trigger maintains them for search_module_content().';
COMMENT ON COLUMN studio_engine.content_search.content_id IS 'The content';
COMMENT ON COLUMN studio_engine.content_search.section IS 'Column of the content that the words are from';
COMMENT ON COLUMN studio_engine.content_search.part IS 'Part of a long section, from 0; parts overlap';
COMMENT ON COLUMN studio_engine.content_search.configuration IS 'Text search configuration that the words were made with';
COMMENT ON COLUMN studio_engine.content_search.words IS 'The words, as the configuration normalizes them';
COMMENT ON COLUMN studio_engine.content_search.company_id IS 'Company of the content; maintained by a trigger';
