insert into customers (id, name, city) values
    (1, 'Ada', 'London'),
    (2, 'Grace', 'New York'),
    (3, 'Edsger', 'Rotterdam');

insert into orders (id, customer_id, amount) values
    (1, 1, 12.50),
    (2, 1, 7.00),
    (3, 3, 99.90);
