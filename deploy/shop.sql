-- A target: the shop's database, as its owner would prepare it for the broker. Run by psql as a superuser, once.
\set ON_ERROR_STOP on
\set password `cat "$SHOP_ADMIN_PASSWORD_FILE"`

-- What a deploy job may do. Each login that the broker makes becomes a member, and nothing else.
create role shop_readwrite nologin;

-- The broker's administrator: makes and drops logins, is no superuser, and can hand on exactly one membership.
create role daypass_admin login createrole password :'password';
grant shop_readwrite to daypass_admin with admin option;

select 'create database shop' where not exists (select from pg_database where datname = 'shop') \gexec
\connect shop

create table orders (
    id integer generated always as identity primary key,
    customer text not null,
    total numeric(10, 2) not null
);
insert into orders (customer, total) values ('Ada', 12.50), ('Grace', 99.00), ('Barbara', 7.25);

revoke all on database shop from public;
revoke all on schema public from public;
grant connect on database shop to shop_readwrite, daypass_admin;
grant usage on schema public to shop_readwrite;
grant select, insert, update, delete on orders to shop_readwrite;
grant usage on sequence orders_id_seq to shop_readwrite;
