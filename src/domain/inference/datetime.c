/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ISO 8601 dates and date-times to seconds since 1970-01-01 UTC.
 *
 * Accepted: YYYY-MM-DD, and after it 'T' or one blank, HH:MM[:SS[.fraction]] and an optional zone (Z,
 * +HH, +HHMM, +HH:MM). Without a zone the time is UTC. The basic form (20240131) is refused, because
 * it cannot be told from a plain number; so are week dates and ordinal dates, which tables do not use.
 *
 * The days before a date follow from counting years from 1 March, so that the leap day is the last day
 * of its year (Howard Hinnant, "chrono-compatible low-level date algorithms", days_from_civil).
 */
#include "domain/inference/signature.h"

struct text_reader {
    const char *at, *end;
    bool failed;
};

/* `n` decimal digits as a number. */
static int digits(struct text_reader *r, int n)
{
    int value = 0;
    for (int i = 0; i < n; i++) {
        if (r->at == r->end || *r->at < '0' || *r->at > '9') {
            r->failed = true;
            return 0;
        }
        value = value * 10 + (*r->at++ - '0');
    }
    return value;
}

static bool accept(struct text_reader *r, char c)
{
    if (r->at == r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

static void expect(struct text_reader *r, char c)
{
    if (!accept(r, c))
        r->failed = true;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

static int64_t days_since_1970(int year, int month, int day)
{
    int y = month <= 2 ? year - 1 : year;
    int era = y / 400, year_of_era = y % 400;
    int day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return (int64_t)era * 146097 + day_of_era - 719468;
}

static double read_date(struct text_reader *r)
{
    int year = digits(r, 4);
    expect(r, '-');
    int month = digits(r, 2);
    expect(r, '-');
    int day = digits(r, 2);
    if (r->failed || year < 1 || month < 1 || month > 12 || day < 1 ||
        day > days_in_month(year, month)) {
        r->failed = true;
        return 0;
    }
    return (double)(days_since_1970(year, month, day) * 86400);
}

static double read_fraction(struct text_reader *r)
{
    double value = 0, unit = 0.1;
    if (r->at == r->end)
        r->failed = true;
    for (; r->at < r->end && *r->at >= '0' && *r->at <= '9'; r->at++) {
        value += unit * (*r->at - '0');
        unit /= 10;
    }
    return value;
}

static double read_time(struct text_reader *r)
{
    int hour = digits(r, 2);
    expect(r, ':');
    int minute = digits(r, 2), second = 0;
    double fraction = 0;
    if (accept(r, ':')) {
        second = digits(r, 2);
        if (accept(r, '.'))
            fraction = read_fraction(r);
    }
    if (hour > 23 || minute > 59 || second > 60) /* 60: a leap second */
        r->failed = true;
    return hour * 3600 + minute * 60 + second + fraction;
}

/* Seconds that the zone is ahead of UTC. */
static double read_zone(struct text_reader *r)
{
    if (r->at == r->end || accept(r, 'Z') || accept(r, 'z'))
        return 0;
    double sign = 1;
    if (accept(r, '-'))
        sign = -1;
    else
        expect(r, '+');
    int hours = digits(r, 2), minutes = 0;
    if (r->at < r->end) {
        (void)accept(r, ':');
        minutes = digits(r, 2);
    }
    if (hours > 23 || minutes > 59)
        r->failed = true;
    return sign * (hours * 3600 + minutes * 60);
}

bool px_parse_datetime(struct px_str text, double *ret_seconds)
{
    struct px_str s = px_str_trim(text);
    if (s.len < 10)
        return false;
    struct text_reader r = {s.ptr, s.ptr + s.len, false};
    double seconds = read_date(&r);
    if (r.at < r.end) {
        if (!accept(&r, 'T') && !accept(&r, 't'))
            expect(&r, ' ');
        seconds += read_time(&r);
        seconds -= read_zone(&r);
    }
    if (r.failed || r.at != r.end)
        return false;
    *ret_seconds = seconds;
    return true;
}
