SELECT 1;
GO /*
SELECT 2;
GO
still a comment */
SELECT 3;
GO 2 /* x
