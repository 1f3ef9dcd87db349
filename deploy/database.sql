-- The broker's own database: who owns the schema is not who serves from it. Run by psql as the owner, once.
\set ON_ERROR_STOP on
\set password `cat "$DAYPASS_PASSWORD_FILE"`

-- Serves; what it may do is granted by `daypass-broker migrate`.
create role daypass login noinherit password :'password';
create database daypass;
revoke all on database daypass from public;
grant connect on database daypass to daypass;
