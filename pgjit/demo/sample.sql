-- A small shop: the data that `pgjit demo` and the tests look at.
-- Every value follows from its row number, so that two runs on any version give the same rows.

CREATE FUNCTION pg_temp.pick(i bigint, salt bigint, n integer) RETURNS integer
    LANGUAGE sql IMMUTABLE
    AS $$ SELECT ((hashint8extended(i, salt) & 2147483647) % n)::integer $$;

CREATE TYPE order_status AS ENUM ('placed', 'paid', 'shipped', 'delivered', 'returned', 'cancelled');
CREATE TYPE payment_method AS ENUM ('card', 'transfer', 'invoice', 'wallet');

CREATE TABLE customers (
    id integer PRIMARY KEY,
    name text NOT NULL,
    email text NOT NULL UNIQUE,
    city text NOT NULL,
    country char(2) NOT NULL,
    company text,
    created_at timestamptz NOT NULL
);

CREATE TABLE products (
    id integer PRIMARY KEY,
    sku text NOT NULL UNIQUE,
    name text NOT NULL,
    category text NOT NULL,
    unit_price numeric(10, 2) NOT NULL CHECK (unit_price > 0),
    attributes jsonb NOT NULL DEFAULT '{}'
);

CREATE TABLE orders (
    id integer PRIMARY KEY,
    customer_id integer NOT NULL,
    status order_status NOT NULL,
    ordered_at timestamptz NOT NULL,
    shipped_at timestamptz CHECK (shipped_at >= ordered_at)
);

CREATE TABLE order_lines (
    order_id integer NOT NULL,
    line_no smallint NOT NULL,
    product_id integer NOT NULL,
    quantity integer NOT NULL CHECK (quantity > 0),
    unit_price numeric(10, 2) NOT NULL,
    PRIMARY KEY (order_id, line_no)
);

CREATE TABLE payments (
    id integer PRIMARY KEY,
    order_id integer NOT NULL,
    method payment_method NOT NULL,
    amount numeric(12, 2) NOT NULL,
    paid_at timestamptz NOT NULL,
    reference uuid NOT NULL
);

CREATE TABLE notes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    note text NOT NULL,
    written_at timestamptz NOT NULL DEFAULT now(),
    written_by text NOT NULL DEFAULT current_user
);

COMMENT ON TABLE customers IS 'Who buys. Names and addresses are invented.';
COMMENT ON TABLE products IS 'What is sold, at its price of today.';
COMMENT ON TABLE orders IS 'One row for each order.';
COMMENT ON TABLE order_lines IS 'What an order consists of, at the price of its day.';
COMMENT ON TABLE payments IS 'Money received for orders.';
COMMENT ON TABLE notes IS 'Free text by staff: the one table that the role `pgjit_writer` may change.';
COMMENT ON COLUMN order_lines.unit_price IS 'As agreed on the day of the order; products.unit_price is of today.';

INSERT INTO customers
SELECT i, first || ' ' || last,
       lower(first) || '.' || lower(last) || '.' || i || '@example.com',
       (ARRAY['Lisbon', 'Ghent', 'Turin', 'Leeds', 'Kraków', 'Lyon', 'Aarhus', 'Graz', 'Malmö', 'Utrecht'])[place],
       (ARRAY['PT', 'BE', 'IT', 'GB', 'PL', 'FR', 'DK', 'AT', 'SE', 'NL'])[place],
       CASE WHEN pg_temp.pick(i, 4, 5) = 0 THEN last || (ARRAY[' & Sons', ' Ltd', ' Studio', ' Works'])[1 + pg_temp.pick(i, 5, 4)] END,
       timestamptz '2023-01-01 08:00Z' + pg_temp.pick(i, 6, 1000) * interval '1 day' + pg_temp.pick(i, 7, 43200) * interval '1 second'
FROM (
    SELECT i, 1 + pg_temp.pick(i, 3, 10) AS place,
           (ARRAY['Ana', 'Marek', 'Ingrid', 'Tom', 'Chiara', 'Noor', 'Elif', 'Hugo', 'Maja', 'Ravi', 'Sofia', 'Lena',
                  'Omar', 'Julia', 'Pieter', 'Aoife', 'Emil', 'Zofia', 'Luc', 'Mei'])[1 + pg_temp.pick(i, 1, 20)] AS first,
           (ARRAY['Silva', 'Nowak', 'Berg', 'Harris', 'Rossi', 'Jansen', 'Kaya', 'Martin', 'Lind', 'Patel', 'Costa',
                  'Weber', 'Haddad', 'Moreau', 'Visser', 'Byrne', 'Holm', 'Zając', 'Dubois', 'Chen'])[1 + pg_temp.pick(i, 2, 20)] AS last
    FROM generate_series(1, 8000) AS i
) AS person;

INSERT INTO products
SELECT i, upper(left(category, 3)) || '-' || to_char(i, 'FM0000'), material || ' ' || item, category,
       round((5 + pg_temp.pick(i, 13, 24000) / 100.0)::numeric, 2),
       jsonb_build_object('material', lower(material), 'weight_g', 100 + pg_temp.pick(i, 14, 4900))
FROM (
    SELECT i, (ARRAY['Oak', 'Steel', 'Linen', 'Glass', 'Cork', 'Wool', 'Brass', 'Stone'])[1 + pg_temp.pick(i, 11, 8)] AS material,
           (ARRAY['Lamp', 'Chair', 'Table', 'Bowl', 'Blanket', 'Shelf', 'Kettle', 'Clock', 'Rug', 'Vase'])[kind] AS item,
           (ARRAY['lighting', 'seating', 'tables', 'kitchen', 'textiles', 'storage', 'kitchen', 'decor', 'textiles', 'decor'])[kind] AS category
    FROM (SELECT i, 1 + pg_temp.pick(i, 12, 10) AS kind FROM generate_series(1, 400) AS i) AS kinds
) AS named;

INSERT INTO orders
SELECT i, 1 + pg_temp.pick(i, 21, 8000), status::order_status, ordered_at,
       CASE WHEN status IN ('shipped', 'delivered', 'returned')
            THEN ordered_at + (6 + pg_temp.pick(i, 24, 90)) * interval '1 hour' END
FROM (
    SELECT i, CASE WHEN i > 24200 THEN (ARRAY['placed', 'paid', 'shipped'])[1 + pg_temp.pick(i, 22, 3)]
                   ELSE (ARRAY['delivered', 'delivered', 'delivered', 'delivered', 'delivered', 'delivered',
                               'delivered', 'shipped', 'returned', 'cancelled'])[1 + pg_temp.pick(i, 22, 10)] END AS status,
           timestamptz '2024-11-01 06:00Z' + i * interval '42 minutes' + pg_temp.pick(i, 23, 2400) * interval '1 second' AS ordered_at
    FROM generate_series(1, 25000) AS i
) AS placed;

-- 1, 2, 3 or 4 lines in turn, less on every fifth order: 60,000 in all.
INSERT INTO order_lines
SELECT o.i, line, p.id, 1 + pg_temp.pick(o.i * 8 + line, 32, 5), p.unit_price
FROM generate_series(1, 25000) AS o (i)
CROSS JOIN LATERAL generate_series(1, (ARRAY[1, 2, 3, 4, 2])[1 + o.i % 5]) AS line
JOIN products AS p ON p.id = 1 + pg_temp.pick(o.i * 8 + line, 31, 400);

INSERT INTO payments
SELECT row_number() OVER (ORDER BY o.id), o.id,
       (ARRAY['card', 'card', 'card', 'transfer', 'invoice', 'wallet'])[1 + pg_temp.pick(o.id, 41, 6)]::payment_method,
       sum(l.quantity * l.unit_price), o.ordered_at + pg_temp.pick(o.id, 42, 5000) * interval '1 minute',
       md5('payment ' || o.id)::uuid
FROM orders AS o JOIN order_lines AS l ON l.order_id = o.id
WHERE o.status NOT IN ('placed', 'cancelled')
GROUP BY o.id
ORDER BY o.id
LIMIT 20000;

INSERT INTO notes (note, written_at, written_by) VALUES
    ('Carrier changed for Denmark and Sweden', '2026-09-01 09:00Z', 'ana'),
    ('Stock take of the Ghent warehouse is done', '2026-10-02 16:30Z', 'marek');

-- After the rows: the server looks at all of them at once.
ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers;
ALTER TABLE order_lines ADD FOREIGN KEY (order_id) REFERENCES orders;
ALTER TABLE order_lines ADD FOREIGN KEY (product_id) REFERENCES products;
ALTER TABLE payments ADD FOREIGN KEY (order_id) REFERENCES orders;

CREATE INDEX orders_by_customer ON orders (customer_id);
CREATE INDEX orders_by_time ON orders (ordered_at);
CREATE INDEX order_lines_by_product ON order_lines (product_id);
CREATE INDEX payments_by_order ON payments (order_id);

CREATE VIEW order_totals AS
SELECT o.id AS order_id, o.customer_id, o.status, o.ordered_at, count(*) AS lines, sum(l.quantity * l.unit_price) AS total
FROM orders AS o JOIN order_lines AS l ON l.order_id = o.id
GROUP BY o.id;
COMMENT ON VIEW order_totals IS 'Orders with what they come to.';

CREATE VIEW monthly_revenue AS
SELECT date_trunc('month', paid_at AT TIME ZONE 'UTC')::date AS month, count(*) AS payments, sum(amount) AS revenue
FROM payments
GROUP BY 1;
COMMENT ON VIEW monthly_revenue IS 'Payments by month, in UTC.';
