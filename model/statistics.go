package model

import (
	"context"
	"fmt"
	"math"
	"slices"
)

// exactRows is up to how many rows of a table are counted one by one.
const exactRows = 100_000

// exactUsers is how many accounts, the oldest, are looked at for bans and roles.
const exactUsers = 1_000_000

// Statistics is how much is kept. What was estimated is named in Estimated, by the field's name.
type Statistics struct {
	Users, Banned, Admins  int64
	Direct, Groups, Logs   int64 // conversations, each in one of them
	Messages               int64
	MailboxEntries         int64
	Devices                int64
	Files, FileBytes       int64
	Blocks                 int64
	Registrations, Written int64 // accounts and messages of the last 24 hours
	Version                string
	Bytes                  int64 // of the whole database, as it says itself
	Estimated              []string
}

// Statistics reads them, without reading more of a large table than some 100,000 rows (1,000,000 accounts; SQLite
// counts its smaller tables to their end).
func (s *Store) Statistics(ctx context.Context, now Millis) (*Statistics, error) {
	return census{s, exactRows, exactUsers}.statistics(ctx, now)
}

// census counts tables one by one up to a number of rows.
type census struct {
	*Store
	exact int64
	users int64 // accounts that are looked at
}

func (s census) statistics(ctx context.Context, now Millis) (*Statistics, error) {
	out := new(Statistics)
	var conversations int64
	for _, part := range []struct {
		name, table string
		into        *int64
	}{
		{"users", "users", &out.Users},
		{"conversations", "conversations", &conversations},
		{"messages", "messages", &out.Messages},
		{"mailbox_entries", "mailboxes", &out.MailboxEntries},
		{"devices", "devices", &out.Devices},
		{"files", "files", &out.Files},
		{"blocks", "blocks", &out.Blocks},
	} {
		n, exact, err := s.countRows(ctx, part.table)
		if err != nil {
			return nil, err
		}
		*part.into = n
		out.note(part.name, exact)
	}
	for _, read := range []func() error{
		func() error { return s.countAccounts(ctx, out) },
		func() error { return s.countKinds(ctx, out, conversations) },
		func() error { return s.sumFiles(ctx, out) },
		func() error { return s.countLately(ctx, "registrations_24h", "users", now, out, &out.Registrations) },
		func() error { return s.countLately(ctx, "messages_24h", "messages", now, out, &out.Written) },
		func() error { return s.readSize(ctx, out) },
	} {
		if err := read(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (o *Statistics) note(name string, exact bool) {
	if !exact && !slices.Contains(o.Estimated, name) {
		o.Estimated = append(o.Estimated, name)
	}
}

// sums are what SQLite, which has no estimates, adds up instead of counting its largest tables.
var sums = map[string]string{
	"messages":  "SELECT COALESCE(SUM(head), 0) FROM conversations",
	"mailboxes": "SELECT COALESCE(SUM(CASE WHEN floor > 0 THEN head - floor + 1 ELSE head END), 0) FROM mailbox_heads",
}

func (s census) countRows(ctx context.Context, table string) (n int64, exact bool, err error) {
	scan := func(query string, args ...any) {
		if err != nil {
			return
		}
		if err = s.read(ctx).Raw(query, args...).Row().Scan(&n); err != nil {
			err = fmt.Errorf("count %s: %w", table, err)
		}
	}
	scan("SELECT COUNT(*) FROM (SELECT 1 FROM "+table+" LIMIT ?) t", s.exact)
	if err != nil || n < s.exact {
		return n, true, err
	}
	sum, summed := sums[table]
	switch {
	case s.dialect != SQLite:
		scan("SELECT COALESCE(MAX(table_rows), 0) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?", table)
		return max(n, s.exact), false, err
	case summed:
		scan(sum)
		return n, false, err
	default:
		scan("SELECT COUNT(*) FROM " + table)
		return n, true, err
	}
}

// countAccounts leaves out the service's own.
func (s census) countAccounts(ctx context.Context, out *Statistics) error {
	last, own := UserID(math.MaxInt64), int64(0)
	if out.Users > s.users {
		if err := s.read(ctx).Raw("SELECT COALESCE(MAX(id), 0) FROM (SELECT id FROM users ORDER BY id LIMIT 1 OFFSET ?) u", s.users-1).Row().Scan(&last); err != nil {
			return fmt.Errorf("find the last account to count: %w", err)
		}
		out.note("users_banned", false)
		out.note("admins", false)
	}
	err := s.read(ctx).Raw("SELECT COUNT(CASE WHEN banned_at > 0 THEN 1 END), COUNT(CASE WHEN role = 'admin' THEN 1 END), COUNT(CASE WHEN id = ? THEN 1 END) FROM users WHERE id <= ?", System, last).Row().Scan(&out.Banned, &out.Admins, &own)
	if err != nil {
		return fmt.Errorf("count accounts: %w", err)
	}
	out.Users -= own
	return nil
}

// countKinds takes the newest conversations for all.
func (s census) countKinds(ctx context.Context, out *Statistics, all int64) error {
	err := s.read(ctx).Raw(`SELECT COUNT(CASE WHEN kind = 'direct' THEN 1 END), COUNT(CASE WHEN kind = 'group' AND delivery = 'mailbox' THEN 1 END), COUNT(CASE WHEN delivery = 'log' THEN 1 END)
		FROM (SELECT kind, delivery FROM conversations ORDER BY id DESC LIMIT ?) c`, s.exact).Row().Scan(&out.Direct, &out.Groups, &out.Logs)
	if err != nil {
		return fmt.Errorf("count kinds of conversations: %w", err)
	}
	if seen := out.Direct + out.Groups + out.Logs; seen >= s.exact {
		for _, n := range []*int64{&out.Direct, &out.Groups, &out.Logs} {
			*n = scale(*n, all, seen)
		}
		out.note("conversations", false)
	}
	return nil
}

// sumFiles takes the newest files for all.
func (s census) sumFiles(ctx context.Context, out *Statistics) error {
	var seen int64
	err := s.read(ctx).Raw("SELECT COUNT(*), COALESCE(SUM(size), 0) FROM (SELECT size FROM files ORDER BY id DESC LIMIT ?) f", s.exact).Row().Scan(&seen, &out.FileBytes)
	if err != nil {
		return fmt.Errorf("sum up files: %w", err)
	}
	if seen >= s.exact {
		out.FileBytes = scale(out.FileBytes, out.Files, seen)
		out.note("file_bytes", false)
	}
	return nil
}

// countLately counts what has an id of the last 24 hours; of more than can be counted it takes the newest for all.
func (s census) countLately(ctx context.Context, name, table string, now Millis, out *Statistics, into *int64) error {
	const day = Millis(24 * 60 * 60 * 1000)
	var oldest MessageID
	err := s.read(ctx).Raw("SELECT COUNT(*), COALESCE(MIN(id), 0) FROM (SELECT id FROM "+table+" WHERE id >= ? ORDER BY id DESC LIMIT ?) t", max(0, int64(now-day)-IDEpoch)<<(IDNodeBits+IDCounterBits), s.exact).Row().Scan(into, &oldest)
	if err != nil {
		return fmt.Errorf("count new %s: %w", table, err)
	}
	if *into >= s.exact {
		*into = scale(*into, int64(day), max(1, int64(now-MadeAt(oldest))))
		out.note(name, false)
	}
	return nil
}

// scale is n of seen among all.
func scale(n, all, seen int64) int64 { return int64(float64(n) * float64(all) / float64(seen)) }

func (s census) readSize(ctx context.Context, out *Statistics) error {
	query := "SELECT VERSION(), (SELECT COALESCE(SUM(data_length + index_length), 0) FROM information_schema.tables WHERE table_schema = DATABASE())"
	if s.dialect == SQLite {
		query = "SELECT sqlite_version(), (SELECT page_count FROM pragma_page_count()) * (SELECT page_size FROM pragma_page_size())"
	}
	if err := s.read(ctx).Raw(query).Row().Scan(&out.Version, &out.Bytes); err != nil {
		return fmt.Errorf("read the database's size: %w", err)
	}
	return nil
}
