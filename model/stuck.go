package model

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
)

// StuckScan is how many devices, the latest seen first, are looked at for those that are furthest behind.
const StuckScan = 10_000

// StuckDevice is a device with entries in its user's mailbox that it has not acked.
type StuckDevice struct {
	UserID     UserID
	Username   string
	DeviceID   DeviceID
	Acked      int64
	Head       int64
	Lag        int64     // entries that wait and are still kept; those acked out of order count
	Oldest     MessageID // the first of them; 0: it is gone meanwhile
	LastSeenAt Millis
}

// StuckDevices lists, of the StuckScan devices that were seen last or of the given ones (at most 500), those with
// something un-acked: the furthest behind first, or with byAge those whose oldest entry is the oldest.
//
// It is many statements by primary keys rather than one: MariaDB took 8 s for the join at 400,000 devices.
func (s *Store) StuckDevices(ctx context.Context, keys []DeviceKey, byAge bool, limit int) ([]StuckDevice, error) {
	devices, err := s.stuckCandidates(ctx, keys)
	if err != nil {
		return nil, err
	}
	users := make([]UserID, len(devices))
	for i, d := range devices {
		users[i] = d.UserID
	}
	slices.Sort(users)
	heads := make(map[UserID]MailboxHead, len(users))
	for part := range slices.Chunk(slices.Compact(users), rowsPerStatement) {
		list, err := s.MailboxHeads(ctx, part)
		if err != nil {
			return nil, err
		}
		for _, h := range list {
			heads[h.UserID] = h
		}
	}
	var behind []StuckDevice
	for _, d := range devices {
		h := heads[d.UserID]
		if first := max(d.Acked+1, h.Floor); first <= h.Head { // what is below the floor waits for nobody
			behind = append(behind, StuckDevice{UserID: d.UserID, DeviceID: d.DeviceID, Acked: d.Acked, Head: h.Head, Lag: h.Head - first + 1, LastSeenAt: d.LastSeenAt})
		}
	}
	byKey := func(a, b StuckDevice) int {
		return cmp.Or(cmp.Compare(a.UserID, b.UserID), cmp.Compare(a.DeviceID, b.DeviceID))
	}
	if !byAge {
		slices.SortFunc(behind, func(a, b StuckDevice) int { return cmp.Or(cmp.Compare(b.Lag, a.Lag), byKey(a, b)) })
		behind = behind[:min(len(behind), limit)]
	}
	if err := s.oldestOf(ctx, behind); err != nil {
		return nil, err
	}
	if byAge {
		slices.SortFunc(behind, func(a, b StuckDevice) int {
			return cmp.Or(cmp.Compare(uint64(a.Oldest)-1, uint64(b.Oldest)-1), byKey(a, b)) // what is gone is the youngest
		})
		behind = behind[:min(len(behind), limit)]
	}
	return behind, s.nameStuck(ctx, behind)
}

// stuckCandidates are the devices to look at.
func (s *Store) stuckCandidates(ctx context.Context, keys []DeviceKey) (devices []Device, err error) {
	if keys != nil {
		if len(keys) == 0 {
			return nil, nil
		}
		found, err := s.Devices(ctx, keys)
		if err != nil {
			return nil, err
		}
		for _, d := range found {
			devices = append(devices, d)
		}
		return devices, nil
	}
	index := " FORCE INDEX (ix_devices_last_seen)"
	if s.dialect == SQLite {
		index = ""
	}
	rows, err := s.read(ctx).Raw("SELECT "+deviceColumns+" FROM devices"+index+" ORDER BY last_seen_at DESC LIMIT ?", StuckScan).Rows()
	if err != nil {
		return nil, fmt.Errorf("read the devices seen last: %w", err)
	}
	return scanAll(rows, scanDevice)
}

// oldestOf finds the first entry that each waits for.
func (s *Store) oldestOf(ctx context.Context, list []StuckDevice) error {
	found := make(map[Place]MessageID, len(list))
	first := func(d *StuckDevice) Place { return Place{UserID: d.UserID, Seq: d.Head - d.Lag + 1} }
	for part := range slices.Chunk(list, rowsPerStatement) {
		places := make([]Place, len(part))
		for i := range part {
			places[i] = first(&part[i])
		}
		if err := s.run(ctx, s.readEntryIDs(places, found)); err != nil {
			return err
		}
	}
	for i := range list {
		list[i].Oldest = found[first(&list[i])]
	}
	return nil
}

func (s *Store) nameStuck(ctx context.Context, list []StuckDevice) error {
	if len(list) == 0 {
		return nil
	}
	names := make(map[UserID]string, len(list))
	for part := range slices.Chunk(list, rowsPerStatement) {
		users := make([]UserID, len(part))
		for i := range part {
			users[i] = part[i].UserID
		}
		q := numbers(newStep("read usernames", "SELECT id, username FROM users WHERE id IN (", 20*len(users)), users).add(")")
		q.scan = func(r *sql.Rows) error {
			var id UserID
			var name string
			err := r.Scan(&id, &name)
			names[id] = name
			return err
		}
		if err := s.run(ctx, q); err != nil {
			return err
		}
	}
	for i := range list {
		list[i].Username = names[list[i].UserID]
	}
	return nil
}
