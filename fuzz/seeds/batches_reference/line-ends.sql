GO
select 1
go

USE db
BEGIN TRAN
GO -- x
commit transactionGO