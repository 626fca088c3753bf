-- The rights of the running service, and no more: it reads and adds records, and owns nothing.
--
-- Run it as the owner of the tables after the first 'veil migrate' and after each one that follows; again is harmless:
--     psql "$OWNER_URL" --set ON_ERROR_STOP=1 --file deploy/postgres/service-role.sql
-- Then, once, a role that may log in (type the password at the prompt, so that it is in no history):
--     CREATE ROLE veil_app LOGIN IN ROLE veil_service;   \password veil_app
-- and VEIL_DATABASE__URL of the service names veil_app, with VEIL_DATABASE__MIGRATE=false.
--
-- DELETE is there for the retention and for erasures: triggers let nothing else be removed. No TRUNCATE, no ALTER, and no
-- way to switch a trigger off: those are the owner's.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'veil_service') THEN
        CREATE ROLE veil_service NOLOGIN;
    END IF;
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO veil_service', current_database());
    EXECUTE format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC', current_schema());
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO veil_service', current_schema());
END
$$;

REVOKE ALL ON ALL TABLES IN SCHEMA public FROM veil_service;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO veil_service;
GRANT INSERT, DELETE ON receipts, audit TO veil_service;
GRANT UPDATE (detections) ON receipts TO veil_service;
GRANT INSERT, UPDATE ON retention TO veil_service;
GRANT INSERT ON samples, verdicts, signing_keys TO veil_service;
GRANT UPDATE (revoked_at) ON signing_keys TO veil_service;
GRANT INSERT, UPDATE ON api_keys TO veil_service;
-- How much of its quota each key has used: the one table of passing values.
GRANT INSERT, UPDATE, DELETE ON key_usage TO veil_service;
