package model

import (
	"context"
	"database/sql"
	"fmt"
)

// StuckScan is how many devices, the latest seen first, are looked at for those that are furthest behind.
const StuckScan = 20_000

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
func (s *Store) StuckDevices(ctx context.Context, keys []DeviceKey, byAge bool, limit int) ([]StuckDevice, error) {
	const columns = "user_id, device_id, acked_seq, last_seen_at"
	of, args := "(SELECT "+columns+" FROM devices ORDER BY last_seen_at DESC LIMIT ?)", []any{StuckScan}
	if keys != nil {
		if len(keys) == 0 {
			return nil, nil
		}
		of, args = "(SELECT "+columns+" FROM devices WHERE (user_id, device_id) IN ("+s.tuples(len(keys), 2)+"))", nil
		for _, k := range keys {
			args = append(args, k.UserID, k.DeviceID)
		}
	}
	// The first that waits: what is below the floor waits for nobody.
	const first = "CASE WHEN d.acked_seq + 1 >= h.floor THEN d.acked_seq + 1 ELSE h.floor END"
	order := "h.head - (" + first + ") DESC"
	if byAge {
		order = "COALESCE(b.message_id, 9223372036854775807)"
	}
	rows, err := s.read(ctx).Raw("SELECT d.user_id, COALESCE(u.username, ''), d.device_id, d.acked_seq, h.head, h.head - ("+first+") + 1, COALESCE(b.message_id, 0), d.last_seen_at FROM "+of+` d
		JOIN mailbox_heads h ON h.user_id = d.user_id LEFT JOIN users u ON u.id = d.user_id
		LEFT JOIN mailboxes b ON b.user_id = d.user_id AND b.seq = (`+first+")"+`
		WHERE h.head >= (`+first+`) ORDER BY `+order+", d.user_id, d.device_id LIMIT ?", append(args, limit)...).Rows()
	if err != nil {
		return nil, fmt.Errorf("find stuck devices: %w", err)
	}
	return scanAll(rows, func(r *sql.Rows) (v StuckDevice, err error) {
		err = r.Scan(&v.UserID, &v.Username, &v.DeviceID, &v.Acked, &v.Head, &v.Lag, &v.Oldest, &v.LastSeenAt)
		return v, err
	})
}
