package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"ackbox/bench"
)

const (
	// passRows is how many rows a statement inserts.
	passRows = 500
	// passLife is how long the tokens are good, which is longer than any measurement.
	passLife = 24 * time.Hour
)

// spread is count people at even distances among size, none of whom is in but.
func spread(size, count int, but map[int]bool) ([]int, error) {
	if count+len(but) > size {
		return nil, fmt.Errorf("%d of %d people are wanted: fill in more", count+len(but), size)
	}
	chosen := make([]int, 0, count)
	taken := make(map[int]bool, count)
	for i := range count {
		n := (2*i + 1) * size / (2 * count)
		for taken[n] || but[n] {
			n = (n + 1) % size
		}
		taken[n] = true
		chosen = append(chosen, n)
	}
	return chosen, nil
}

// contact is a conversation of two people in which nothing was said yet.
type contact struct {
	id        int64
	who, with int
}

// contacts gives each of the chosen a conversation with the next of them and with count others, who are at even distances among
// all and not chosen. Their ids lie among those of the other conversations, from end to end and out of turn, so that messages
// in them meet the indexes at places far from each other. turn, below maxTurns, numbers the calls.
func (p *population) contacts(chosen []int, count, turn int) ([]contact, error) {
	if turn >= maxTurns {
		return nil, fmt.Errorf("more than %d sets of contacts", maxTurns)
	}
	if p.met == nil {
		p.met, p.placed = map[[2]int]bool{}, map[int64]bool{}
	}
	size := p.size()
	busy := make(map[int]bool, len(chosen))
	for _, n := range chosen {
		busy[n] = true
	}
	var list []contact
	most := len(chosen) * (count + 1)
	add := func(who, with int) {
		p.met[[2]int{min(who, with), max(who, with)}] = true
		place := len(list) * placesApart % most // a prime: each place once
		id := p.talk(place*userDirects*size/most) - int64(conversationIDs) + int64(contactIDs+turn*contactIDsATurn)
		for p.placed[id] {
			id++
		}
		p.placed[id] = true
		list = append(list, contact{id: id, who: who, with: with})
	}
	for i, n := range chosen {
		if next := chosen[(i+1)%len(chosen)]; next != n && !p.acquainted(n, next) {
			add(n, next)
		}
		for c := range count {
			with := (n + 7 + c*size/count) % size
			for tries := 0; (busy[with] || p.acquainted(n, with)) && tries < size; tries++ {
				with = (with + 1) % size
			}
			if busy[with] || p.acquainted(n, with) {
				return nil, fmt.Errorf("%d contacts for each of %d people are too many among %d", count, len(chosen), size)
			}
			add(n, with)
		}
	}
	return list, nil
}

const (
	maxTurns        = 60
	contactIDsATurn = 64 // counters of ids, for contacts at one place
	placesApart     = 1_000_003
)

// acquainted says whether two people have a conversation.
func (p *population) acquainted(a, b int) bool {
	_, known := p.person(a)
	return slices.Contains(known[:], b) || p.met[[2]int{min(a, b), max(a, b)}]
}

// insertContacts stores them.
func (p *population) insertContacts(ctx context.Context, db *sql.DB, list []contact) error {
	at := p.era.end.UnixMilli()
	for part := range slices.Chunk(list, passRows) {
		var conversations, members []any
		for _, c := range part {
			who, _ := p.person(c.who)
			with, _ := p.person(c.with)
			conversations = append(conversations, c.id, min(who, with), max(who, with), at, at)
			members = append(members, c.id, who, at, c.id, with, at)
		}
		if err := insertRows(ctx, db, "INSERT INTO conversations (id, kind, delivery, members_version, member_count, low_user_id, high_user_id, created_at, updated_at) VALUES ",
			"(?, 'direct', 'mailbox', 1, 2, ?, ?, ?, ?)", 5, conversations); err != nil {
			return fmt.Errorf("contacts: %w", err)
		}
		if err := insertRows(ctx, db, "INSERT INTO members (conversation_id, user_id, role, joined_at) VALUES ", "(?, ?, 'member', ?)", 3, members); err != nil {
			return fmt.Errorf("contacts: %w", err)
		}
	}
	return nil
}

// passes stores a session for each of the chosen and gives the tokens that get into it. first numbers the sessions: each number
// is used once. contacts, which may be nil, are put to those who they belong to.
func (p *population) passes(ctx context.Context, db *sql.DB, chosen []int, first int, contacts []contact) ([]bench.Pass, error) {
	now := time.Now()
	until := now.Add(passLife).UnixMilli()
	busy := make(map[int]bool, len(chosen))
	for _, n := range chosen {
		busy[n] = true
	}
	of := map[int][]string{}
	for _, c := range contacts {
		if !busy[c.with] {
			of[c.who] = append(of[c.who], strconv.FormatInt(c.id, 10))
		}
	}
	list := make([]bench.Pass, 0, len(chosen))
	families := newLine(p.era.width()*blocks-maxSessions, p.era.width()*blocks, maxSessions, familyIDs)
	if first+len(chosen) > maxSessions {
		return nil, fmt.Errorf("%d sessions are more than %d", first+len(chosen), maxSessions)
	}
	for part := range slices.Chunk(chosen, passRows) {
		var rows, tokens []any
		for _, n := range part {
			id, _ := p.person(n)
			token := rand.Text()
			hash := sha256.Sum256([]byte(token))
			family := families.id(first + len(list))
			rows = append(rows, family, id, now.UnixMilli(), until)
			tokens = append(tokens, hex.EncodeToString(hash[:]), family, until)
			list = append(list, bench.Pass{Name: "person " + strconv.Itoa(n), Refresh: token, Contacts: of[n]})
		}
		if err := insertRows(ctx, db, "INSERT INTO token_families (id, user_id, created_at, expires_at) VALUES ", "(?, ?, ?, ?)", 4, rows); err != nil {
			return nil, fmt.Errorf("sessions: %w", err)
		}
		if err := insertRows(ctx, db, "INSERT INTO refresh_tokens (hash, family_id, expires_at) VALUES ", "(?, ?, ?)", 3, tokens); err != nil {
			return nil, fmt.Errorf("sessions: %w", err)
		}
	}
	return list, nil
}

// idleDevices makes the devices of idle sockets known, at the end of their users' mailboxes: one that the server doesn't know
// would be sent what is there, and be closed when it doesn't ack.
func (p *population) idleDevices(ctx context.Context, db *sql.DB, chosen []int, devices int) error {
	at := p.era.end.UnixMilli()
	var all []any
	for _, n := range chosen {
		id, _ := p.person(n)
		for device := range devices {
			all = append(all, id, bench.IdleDevice(device), userEntries, at, at)
		}
	}
	for rows := range slices.Chunk(all, 5*passRows) {
		if err := insertRows(ctx, db, "INSERT IGNORE INTO devices (user_id, device_id, acked_seq, last_seen_at, created_at) VALUES ", "(?, ?, ?, ?, ?)", 5, rows); err != nil {
			return fmt.Errorf("idle devices: %w", err)
		}
	}
	return nil
}

// maxSessions bounds the sessions of one database.
const maxSessions = 1_000_000

// insertRows runs one INSERT with as many rows as width values of args make.
func insertRows(ctx context.Context, db *sql.DB, insert, row string, width int, args []any) error {
	if len(args) == 0 {
		return nil
	}
	_, err := db.ExecContext(ctx, insert+strings.Repeat(row+", ", len(args)/width-1)+row, args...)
	return err
}
