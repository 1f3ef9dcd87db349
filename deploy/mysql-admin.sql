-- The administrator with which Daypass makes and drops logins in MySQL 8.0 or MariaDB 10.5 and later. Run it as root, with the database and
-- the password put in; then see the line for MySQL at the end.

create user 'daypass_admin'@'%' identified by 'put a long random password here' require ssl;

-- Make, lock and drop accounts; see the sessions of others; end them.
grant create user, process, connection admin on *.* to 'daypass_admin'@'%';

-- Which accounts there are, without their passwords.
grant select (user, host, max_questions) on mysql.user to 'daypass_admin'@'%';

-- What the statement sets hand on, and no more: one can grant only what one has.
grant select, insert, update, delete on shop.* to 'daypass_admin'@'%' with grant option;

-- MySQL writes the first of these rights in another way there:
-- grant create user, process on *.* to 'daypass_admin'@'%';
-- grant connection_admin on *.* to 'daypass_admin'@'%';
