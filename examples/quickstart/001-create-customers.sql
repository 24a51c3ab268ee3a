-- Customers and what they ordered. Valid on SQLite and PostgreSQL.
create table customers (
    id   integer primary key,
    name varchar(100) not null,
    city varchar(100) not null
);

create table orders (
    id          integer primary key,
    customer_id integer not null references customers (id),
    amount      numeric(10, 2) not null
);

create index orders_by_customer on orders (customer_id);
