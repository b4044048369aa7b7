-- Views over tapes of envelopes, for DuckDB 1.0 and later. Start it in the folder of the tape:
--     duckdb -init duckdb.sql
-- They read compressed segments alone: whole lines, which nobody changes any more, and each once (while one is being compressed, the
-- plain one is there too). Without output.compress: SET VARIABLE tape = 'tape-*.ndjson'; Columns are fixed, so that a
-- file is read once and not twice, and a channel that nobody has heard of changes no type. Numbers stay the venue's text until
-- somebody does sums with them.

CREATE OR REPLACE VIEW lines AS
SELECT * FROM read_ndjson(
    coalesce(getvariable('tape'), 'tape-*.ndjson.zst'),
    columns = {
        v: 'INTEGER', recv: 'TIMESTAMP_NS', feed: 'VARCHAR', conn: 'VARCHAR', n: 'BIGINT', recovered: 'BOOLEAN',
        event: 'VARCHAR', data: 'JSON', msg: 'JSON'
    },
    filename = true,
    -- The longest message of Advanced Trade that was seen has 5 MB; a line may have 64 MiB.
    maximum_object_size = 67108864
);

-- What the venue sent.
CREATE OR REPLACE VIEW messages AS
SELECT recv, feed, conn, n, coalesce(recovered, false) AS recovered, msg->>'channel' AS channel, msg FROM lines WHERE msg IS NOT NULL;

-- What happened: connected, disconnected, gap, dropped, ...
CREATE OR REPLACE VIEW events AS
SELECT recv, feed, conn, n, event, data FROM lines WHERE event IS NOT NULL;

-- What did not come.
CREATE OR REPLACE VIEW gaps AS
SELECT recv, feed, conn, data->>'found' AS found, data->>'counted_by' AS counted_by, (data->>'missed')::BIGINT AS missed,
       data->>'channels' AS channels, data->>'products' AS products, data->>'mended_by' AS mended_by
FROM events WHERE event = 'gap';

-- ticker and ticker_batch of Advanced Trade, one row a product.
CREATE OR REPLACE VIEW tickers AS
SELECT recv, conn, n, channel, t->>'product_id' AS product, (t->>'price')::DECIMAL(38, 12) AS price,
       (t->>'best_bid')::DECIMAL(38, 12) AS bid, (t->>'best_ask')::DECIMAL(38, 12) AS ask
FROM (
    SELECT recv, conn, n, channel, unnest(from_json(msg->'$.events[*].tickers[*]', '["JSON"]')) AS t
    FROM messages WHERE channel IN ('ticker', 'ticker_batch')
);

-- Trades of Advanced Trade, each once: a subscribe begins with the last ones again, and what was missed comes from REST.
CREATE OR REPLACE VIEW trades AS
SELECT min(recv) AS recv, t->>'product_id' AS product, (t->>'trade_id')::BIGINT AS trade_id,
       any_value((t->>'price')::DECIMAL(38, 12)) AS price, any_value((t->>'size')::DECIMAL(38, 12)) AS size,
       any_value(t->>'side') AS side, any_value((t->>'time')::TIMESTAMP) AS time
FROM (
    SELECT recv, unnest(from_json(msg->'$.events[*].trades[*]', '["JSON"]')) AS t FROM messages WHERE channel = 'market_trades'
    UNION ALL
    SELECT recv, msg AS t FROM messages WHERE recovered
)
GROUP BY product, (t->>'trade_id')::BIGINT;

-- Candles of one minute.
CREATE OR REPLACE VIEW candles AS
SELECT product, time_bucket(INTERVAL 1 MINUTE, time) AS minute, arg_min(price, trade_id) AS open, max(price) AS high,
       min(price) AS low, arg_max(price, trade_id) AS close, sum(size) AS volume, count(*) AS trades
FROM trades GROUP BY product, minute ORDER BY product, minute;
