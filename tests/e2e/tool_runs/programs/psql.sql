\pset pager off
\d app.*
\d+ app.orders
\dt+ app.*
\dv app.*
\dm app.*
\di app.*
\ds app.*
\dn+
\df+ app.*
\dT+ app.*
\dD app.*
\dx
\dp app.*
\dRp+
\sf app.total
\sv app.revenue
SET search_path TO app, public;
SELECT count(*) FROM orders \gdesc
SELECT count(*) FROM orders;
BEGIN READ ONLY;
DECLARE c CURSOR FOR SELECT id FROM orders ORDER BY id;
FETCH 3 FROM c;
ROLLBACK;
\copy (SELECT id FROM orders ORDER BY id LIMIT 3) TO STDOUT
