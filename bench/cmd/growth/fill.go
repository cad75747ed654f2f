package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"ackbox/bench"
)

// fillStatements make one block, each a table or a round of messages, in the tables that the server uses, from the variables that
// variables sets. seq_0_to_39999 is MariaDB's table of numbers. Messages come in rounds, as in life: so the pages of the indexes
// are split and as full as they get there, and not as dense as after one sorted load.
var (
	fillPeople = []string{
		`INSERT INTO users (id, username, display_name, role, created_at)
		SELECT @people + seq * @people_step, CONCAT(SUBSTR(MD5(@first + seq), 1, 8), '.', @first + seq), CONCAT('Person ', @first + seq), 'user', @epoch + ((@people + seq * @people_step) >> 22)
		FROM seq_0_to_9999 WHERE seq < @users`,
		`INSERT INTO mailbox_heads (user_id, head, floor) SELECT @people + seq * @people_step, 4 * @rounds, 0 FROM seq_0_to_9999 WHERE seq < @users`,
		`INSERT INTO devices (user_id, device_id, acked_seq, receipts_from, last_seen_at, created_at)
		SELECT @people + seq * @people_step, 'phone', 4 * @rounds, 0, @seen, @epoch + ((@people + seq * @people_step) >> 22) FROM seq_0_to_9999 WHERE seq < @users`,
		`INSERT INTO conversations (id, kind, low_user_id, high_user_id, delivery, head, members_version, member_count, created_at, updated_at)
		SELECT id, 'direct', @people + LEAST(owner, peer) * @people_step, @people + GREATEST(owner, peer) * @people_step, 'mailbox', @rounds, 1, 2, @epoch + (id >> 22), @seen
		FROM (SELECT @talks + seq * @talks_step AS id, seq DIV 2 AS owner, (seq DIV 2 + IF(seq % 2 = 0, 1, @stride)) % @users AS peer FROM seq_0_to_19999 WHERE seq < 2 * @users) c`,
		`INSERT INTO members (conversation_id, user_id, role, delivered_seq, read_seq, joined_at)
		SELECT id, @people + IF(first, owner, (owner + reach) % @users) * @people_step, 'member', @rounds, @rounds, @epoch + (id >> 22)
		FROM (SELECT @talks + (seq DIV 2) * @talks_step AS id, seq % 2 = 0 AS first, seq DIV 4 AS owner, IF((seq DIV 2) % 2 = 0, 1, @stride) AS reach FROM seq_0_to_39999 WHERE seq < 4 * @users) m`,
	}
	// fillRound is a round: @round counts from 0. In even rounds the one who began the conversation writes, else the other.
	fillRound = []string{
		`INSERT INTO messages (conversation_id, conversation_seq, id, sender_id, sender_seq, client_msg_id, type, body, ext, created_at)
		SELECT conversation, @round + 1, id, @people + IF(@round % 2 = 0, owner, peer) * @people_step, 4 * @round + IF(@round % 2 = 0, 3 + n % 2, 2 - n % 2),
			CONCAT(SUBSTR(h, 1, 8), '-', SUBSTR(h, 9, 4), '-4', SUBSTR(h, 14, 3), '-a', SUBSTR(h, 18, 3), '-', SUBSTR(h, 21, 12)),
			'text', CONCAT('{"text":"', MD5(id + 1), MD5(id + 2), '"}'), '{}', @epoch + (id >> 22)
		FROM (SELECT seq AS n, @talks + seq * @talks_step AS conversation, @posts + (@round * 2 * @users + seq) * @posts_step AS id, MD5(@posts + (@round * 2 * @users + seq) * @posts_step) AS h,
			seq DIV 2 AS owner, (seq DIV 2 + IF(seq % 2 = 0, 1, @stride)) % @users AS peer FROM seq_0_to_19999 WHERE seq < 2 * @users) m`,
		`INSERT INTO send_keys (sender_id, client_msg_id, message_id, content_hash, created_at)
		SELECT @people + IF(@round % 2 = 0, owner, peer) * @people_step,
			CONCAT(SUBSTR(h, 1, 8), '-', SUBSTR(h, 9, 4), '-4', SUBSTR(h, 14, 3), '-a', SUBSTR(h, 18, 3), '-', SUBSTR(h, 21, 12)), id, UNHEX(MD5(h)), @epoch + (id >> 22)
		FROM (SELECT @posts + (@round * 2 * @users + seq) * @posts_step AS id, MD5(@posts + (@round * 2 * @users + seq) * @posts_step) AS h,
			seq DIV 2 AS owner, (seq DIV 2 + IF(seq % 2 = 0, 1, @stride)) % @users AS peer FROM seq_0_to_19999 WHERE seq < 2 * @users) k`,
		`INSERT INTO mailboxes (user_id, seq, message_id, conversation_id, conversation_seq, sender_id)
		SELECT @people + u * @people_step, 4 * @round + j + 1, @posts + (@round * 2 * @users + c) * @posts_step, @talks + c * @talks_step, @round + 1,
			@people + IF(@round % 2 = 0, c DIV 2, (c DIV 2 + IF(c % 2 = 0, 1, @stride)) % @users) * @people_step
		FROM (SELECT seq DIV 4 AS u, seq % 4 AS j, CASE seq % 4
				WHEN 0 THEN 2 * ((seq DIV 4 + @users - @stride) % @users) + 1
				WHEN 1 THEN 2 * ((seq DIV 4 + @users - 1) % @users)
				WHEN 2 THEN 2 * (seq DIV 4)
				ELSE 2 * (seq DIV 4) + 1 END AS c
			FROM seq_0_to_39999 WHERE seq < 4 * @users) b`,
	}
)

// fillRows is how many rows a user comes to in all tables: user, head, device, two conversations, four members, and of each
// message itself, its key and two entries.
const fillRows = 3 + userDirects + 2*userDirects + 4*userMessages

// fill adds people until there are so many, over some connections at a time, and shows how far it is. The server must not run.
func (p *population) fill(ctx context.Context, db *sql.DB, users, connections int, live io.Writer) error {
	missing, err := p.grow(users)
	if err != nil {
		return err
	}
	if len(missing) == 0 {
		return nil
	}
	var made atomic.Int64
	have, began := p.size(), time.Now()
	stop := bench.Progress(live, func() string { return fillLine(have+int(made.Load()), users, int(made.Load()), time.Since(began)) })
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(connections)
	for _, b := range missing {
		group.Go(func() error {
			if err := b.insert(groupCtx, db, p.era); err != nil {
				return fmt.Errorf("fill from person %d on: %w", b.first, err)
			}
			made.Add(int64(b.users))
			return nil
		})
	}
	err = group.Wait()
	stop()
	if err == nil {
		p.blocks = append(p.blocks, missing...)
	}
	return err
}

// fillLine is the progress: made of the have users were made in this fill.
func fillLine(have, users, made int, took time.Duration) string {
	const cells = 30
	full := cells * have / users
	text := fmt.Sprintf("fill: [%s%s] %d of %d users", strings.Repeat("#", full), strings.Repeat(".", cells-full), have, users)
	if made > 0 {
		left := time.Duration(float64(took) / float64(made) * float64(users-have)).Round(time.Second)
		text += fmt.Sprintf(", %.0f rows/s, %s left", float64(made)*fillRows/took.Seconds(), left)
	}
	return text
}

// insert writes the block's rows, over one connection.
func (b block) insert(ctx context.Context, db *sql.DB, e era) (err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if _, err := conn.ExecContext(ctx, `SET @first = ?, @users = ?, @stride = ?, @rounds = ?, @epoch = ?, @seen = ?,
		@people = ?, @people_step = ?, @talks = ?, @talks_step = ?, @posts = ?, @posts_step = ?`,
		b.first, b.users, b.stride(), rounds, idEpoch, e.end.UnixMilli(), b.people.at, b.people.step, b.talks.at, b.talks.step, b.posts.at, b.posts.step); err != nil {
		return err
	}
	for _, statement := range fillPeople {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	for round := range rounds {
		if _, err := conn.ExecContext(ctx, "SET @round = ?", round); err != nil {
			return err
		}
		for _, statement := range fillRound {
			if _, err := conn.ExecContext(ctx, statement); err != nil {
				return err
			}
		}
	}
	return nil
}
