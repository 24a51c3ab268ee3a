-- Leaves a mark that this package was applied.
--
-- A database that already has the mark refuses a second one, and then nothing
-- of the package stays in that database.

insert into settings (name, value)
values ('quickstart', 'done');
