create view customer_totals as
select customers.id, customers.name, coalesce(sum(orders.amount), 0) as total
from customers
left join orders on orders.customer_id = customers.id
group by customers.id, customers.name;
