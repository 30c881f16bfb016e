-- What every connection of ours brings along; nothing of it is stored.
-- The month of an instant, and where several price books are in force the place of its book: `starts` has the days, with
-- commas between, from which on the books after the first apply.
CREATE OR REPLACE TEMP MACRO priced_month(instant, starts) AS strftime(instant, '%Y-%m') || CASE WHEN starts IS NULL THEN ''
    ELSE '#' || len(list_filter(string_split(starts, ','), lambda d: instant >= d::TIMESTAMP)) END;
CREATE OR REPLACE TEMP MACRO micros_between(earlier, later) AS date_diff('microsecond', earlier, later);
