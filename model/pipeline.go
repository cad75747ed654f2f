package model

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"gorm.io/gorm"
)

// pipelineConns is how many connections the hot transactions have on MySQL: no more of them run at a time.
const pipelineConns = 8

// pipelineBytes bounds what goes in one round trip (of texts, which quoting may double), well under MariaDB's
// max_allowed_packet.
const pipelineBytes = 2 << 20

// Pipelined is Tx for the transactions that each message pays for: on MySQL its statements travel several in a round
// trip, BEGIN with the first of them. COMMIT always travels alone, so that its unknown outcome is nothing else's.
func (s *Store) Pipelined(ctx context.Context, fn func(tx *Store) error) error {
	begin := s.beginPipeline
	if s.dialect == SQLite { // in the process: there are no trips
		begin = s.begin
	}
	return s.transact(ctx, begin, fn)
}

func (s *Store) beginPipeline(ctx context.Context) (transaction, error) {
	conn, err := s.pipes.Conn(ctx)
	if err != nil {
		return transaction{}, fmt.Errorf("begin: %w", err)
	}
	p := &pipe{conn: conn}
	db := s.writer.Session(&gorm.Session{NewDB: true, Context: ctx})
	db.Statement.ConnPool = p
	return transaction{db: db, commit: func() error { return p.end("COMMIT") }, rollback: func() error { return p.end("ROLLBACK") }}, nil
}

// pipe is the connection of one pipelined transaction.
type pipe struct {
	conn  *sql.Conn
	begun bool
}

// begin makes the first statement begin the transaction.
func (p *pipe) begin(query string) string {
	if p.begun {
		return query
	}
	p.begun = true
	return "BEGIN;" + query
}

// end ends the transaction and gives the connection back. One that may still be in it is closed: the next user's BEGIN
// would commit what is there.
func (p *pipe) end(how string) (err error) {
	if p.begun {
		_, err = p.conn.ExecContext(context.Background(), how)
	}
	if err != nil {
		drop := p.conn.Raw(func(any) error { return driver.ErrBadConn })
		if !errors.Is(drop, driver.ErrBadConn) && !errors.Is(drop, sql.ErrConnDone) {
			err = errors.Join(err, drop)
		}
		return err //nolint:wrapcheck // the caller names it
	}
	return p.conn.Close() //nolint:wrapcheck // the caller names it
}

// ExecContext, QueryContext, QueryRowContext and PrepareContext are what gorm asks of a connection.
func (p *pipe) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return p.conn.ExecContext(ctx, p.begin(query), args...) //nolint:wrapcheck // the caller names it
}

// QueryContext see ExecContext.
func (p *pipe) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return p.conn.QueryContext(ctx, p.begin(query), args...) //nolint:wrapcheck // the caller names it
}

// QueryRowContext see ExecContext.
func (p *pipe) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return p.conn.QueryRowContext(ctx, p.begin(query), args...)
}

// PrepareContext refuses: a prepared statement is a round trip more, and would not begin the transaction.
func (p *pipe) PrepareContext(context.Context, string) (*sql.Stmt, error) {
	return nil, errors.New("a pipelined transaction prepares no statements")
}

// step is one statement. Its numbers are in its text, which is faster than arguments; what users wrote is only ever
// an argument, which the driver quotes: so several statements in one text are no way in.
type step struct {
	what string // it does, for its error
	text []byte
	args []any
	size int                   // of the arguments, about
	scan func(*sql.Rows) error // takes one of the rows that it answers; nil: it answers none
}

func newStep(what, text string, room int) *step {
	return &step{what: what, text: append(make([]byte, 0, len(text)+room), text...)}
}

func (q *step) add(text string) *step {
	q.text = append(q.text, text...)
	return q
}

func (q *step) number(n int64) *step {
	q.text = strconv.AppendInt(q.text, n, 10)
	return q
}

// comma goes between two of a list, and not before the first.
func (q *step) comma() {
	if q.text[len(q.text)-1] == ')' {
		q.text = append(q.text, ',')
	}
}

// string adds what is not ours.
func (q *step) string(text string) *step {
	q.text = append(q.text, '?')
	q.args = append(q.args, text)
	q.size += len(text)
	return q
}

func (q *step) bytes(b []byte) *step {
	q.text = append(q.text, '?')
	q.args = append(q.args, b)
	q.size += len(b)
	return q
}

// numbers adds "1,2,3".
func numbers[N ~int64](q *step, list []N) *step {
	for i, n := range list {
		if i > 0 {
			q.text = append(q.text, ',')
		}
		q.text = strconv.AppendInt(q.text, int64(n), 10)
	}
	return q
}

// row adds "(1,2,3)" to a list.
func (q *step) row(list ...int64) {
	q.comma()
	q.text = append(q.text, '(')
	numbers(q, list)
	q.text = append(q.text, ')')
}

// run executes steps in order, in as few round trips as the connection can. Outside a transaction each is on its own.
func (s *Store) run(ctx context.Context, steps ...*step) error {
	pool := s.writer.Statement.ConnPool
	if !slices.ContainsFunc(steps, func(q *step) bool { return q.scan == nil }) {
		pool = s.reader.Statement.ConnPool
	}
	_, several := pool.(*pipe)
	for len(steps) > 0 {
		n := 1
		for size := steps[0].size + len(steps[0].text); several && n < len(steps); n++ {
			if size += steps[n].size + len(steps[n].text); size > pipelineBytes {
				break
			}
		}
		if err := trip(ctx, pool, steps[:n]); err != nil {
			return err
		}
		steps = steps[n:]
	}
	return nil
}

// trip executes steps in one round trip.
func trip(ctx context.Context, pool gorm.ConnPool, steps []*step) (err error) {
	text, args, answers := steps[0].text, steps[0].args, steps[0].scan != nil
	for _, q := range steps[1:] {
		text = append(append(text, ';'), q.text...)
		args = append(args, q.args...)
		answers = answers || q.scan != nil
	}
	if !answers {
		if _, err := pool.ExecContext(ctx, string(text), args...); err != nil {
			return fmt.Errorf("%s: %w", names(steps), err)
		}
		return nil
	}
	rows, err := pool.QueryContext(ctx, string(text), args...)
	if err != nil {
		return fmt.Errorf("%s: %w", names(steps), err)
	}
	defer func() {
		if closeErr := rows.Close(); closeErr != nil && err == nil {
			err = fmt.Errorf("%s: close rows: %w", names(steps), closeErr)
		}
	}()
	first := true
	for _, q := range steps { // one result for each that answers rows; the driver steps over the others'
		if q.scan == nil {
			continue
		}
		if !first && !rows.NextResultSet() {
			return fmt.Errorf("%s: %w", q.what, cmp.Or(rows.Err(), errNoResult))
		}
		first = false
		for rows.Next() {
			if err := q.scan(rows); err != nil {
				return fmt.Errorf("%s: %w", q.what, err)
			}
		}
		if err := rows.Err(); err != nil {
			return fmt.Errorf("%s: %w", q.what, err)
		}
	}
	for rows.NextResultSet() { // to the end: a later statement may have failed
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("%s: %w", names(steps), err)
	}
	return nil
}

var errNoResult = errors.New("a statement has no result")

func names(steps []*step) (list string) {
	for i, q := range steps {
		if i > 0 {
			list += ", "
		}
		list += q.what
	}
	return list
}
