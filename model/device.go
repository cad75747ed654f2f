package model

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
)

// Device is one device of a user and its position: everything up to Acked has been
// received. Acks of entries up to ReceiptsFrom make no receipts: they were history
// when the device first came.
type Device struct {
	UserID       UserID
	DeviceID     DeviceID
	Acked        int64
	ReceiptsFrom int64
	LastSeenAt   Millis
	CreatedAt    Millis
	Family       FamilyID // the login that was last seen on it; 0: unknown
}

// NewDevice is the first state of a device in a mailbox with the given head.
func NewDevice(user UserID, id DeviceID, head int64, now Millis) Device {
	start := max(0, head-NewDeviceEntries)
	return Device{UserID: user, DeviceID: id, Acked: start, ReceiptsFrom: start, LastSeenAt: now, CreatedAt: now}
}

// ValidDeviceID says whether s can name a device: 1 to 64 of A-Z a-z 0-9 . _ -
func ValidDeviceID(s string) bool {
	if len(s) < 1 || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

// DeviceKey names a device of a user.
type DeviceKey struct {
	UserID   UserID
	DeviceID DeviceID
}

const deviceColumns = "user_id, device_id, acked_seq, receipts_from, last_seen_at, created_at, family_id"

func scanDevice(r *sql.Rows) (d Device, err error) {
	err = r.Scan(&d.UserID, &d.DeviceID, &d.Acked, &d.ReceiptsFrom, &d.LastSeenAt, &d.CreatedAt, &d.Family)
	return d, err
}

// Devices reads at most 500 devices by key; in a transaction their rows are locked.
func (s *Store) Devices(ctx context.Context, keys []DeviceKey) (map[DeviceKey]Device, error) {
	found := make(map[DeviceKey]Device, len(keys))
	return found, s.run(ctx, s.readDevices(keys, found))
}

func (s *Store) readDevices(keys []DeviceKey, found map[DeviceKey]Device) *step {
	q := newStep("read devices", "SELECT "+deviceColumns+" FROM devices WHERE (user_id, device_id) IN ("+s.tuplesOf(), 64+24*len(keys)).devices(keys).add(") ORDER BY user_id, device_id")
	if s.inTx {
		q.add(s.forUpdate())
	}
	q.scan = func(r *sql.Rows) error {
		d, err := scanDevice(r)
		found[DeviceKey{d.UserID, d.DeviceID}] = d
		return err
	}
	return q
}

// devices adds "(1,'a'),(2,'b')".
func (q *step) devices(keys []DeviceKey) *step {
	for _, k := range keys {
		q.comma()
		q.add("(").number(int64(k.UserID)).add(",").string(string(k.DeviceID)).add(")")
	}
	return q
}

// DeviceByKey is one device, or CodeNotFound.
func (s *Store) DeviceByKey(ctx context.Context, key DeviceKey) (Device, error) {
	found, err := s.Devices(ctx, []DeviceKey{key})
	if err != nil {
		return Device{}, err
	}
	d, ok := found[key]
	if !ok {
		return Device{}, NotFound("device")
	}
	return d, nil
}

// DevicesOf lists a user's devices, latest seen first, at most 200.
func (s *Store) DevicesOf(ctx context.Context, user UserID) ([]Device, error) {
	rows, err := s.read(ctx).Raw("SELECT "+deviceColumns+" FROM devices WHERE user_id = ? ORDER BY last_seen_at DESC, device_id LIMIT 200", user).Rows()
	if err != nil {
		return nil, fmt.Errorf("list devices: %w", err)
	}
	return scanAll(rows, scanDevice)
}

// PutDevices writes devices, sorted by key, their positions only ever forward. A Family of 0
// leaves the login that is stored.
func (s *Store) PutDevices(ctx context.Context, list []Device) error {
	return s.run(ctx, s.putDevices(list)...)
}

func (s *Store) putDevices(list []Device) (steps []*step) {
	onDuplicate := " ON DUPLICATE KEY UPDATE acked_seq = GREATEST(acked_seq, VALUES(acked_seq)), last_seen_at = GREATEST(last_seen_at, VALUES(last_seen_at)), family_id = CASE WHEN VALUES(family_id) = 0 THEN family_id ELSE VALUES(family_id) END"
	if s.dialect == SQLite {
		onDuplicate = " ON CONFLICT (user_id, device_id) DO UPDATE SET acked_seq = MAX(acked_seq, excluded.acked_seq), last_seen_at = MAX(last_seen_at, excluded.last_seen_at), family_id = CASE WHEN excluded.family_id = 0 THEN family_id ELSE excluded.family_id END"
	}
	for part := range slices.Chunk(list, s.rows(rowsPerStatement)) {
		q := newStep("write devices", "INSERT INTO devices ("+deviceColumns+") VALUES ", 256+96*len(part))
		for i := range part {
			d := &part[i]
			q.comma()
			q.add("(").number(int64(d.UserID)).add(",").string(string(d.DeviceID)).add(",")
			numbers(q, []int64{d.Acked, d.ReceiptsFrom, int64(d.LastSeenAt), int64(d.CreatedAt), int64(d.Family)}).add(")")
		}
		steps = append(steps, q.add(onDuplicate))
	}
	return steps
}

// TouchDevices moves last_seen_at of the given devices, at most 500 of them.
func (s *Store) TouchDevices(ctx context.Context, keys []DeviceKey, now Millis) error {
	if len(keys) == 1 { // MariaDB walks the whole index for an UPDATE with IN of one tuple: 360 ms at 500,000 devices
		keys = append(slices.Clone(keys), keys[0])
	}
	args := make([]any, 0, 1+2*len(keys))
	args = append(args, now)
	for _, k := range keys {
		args = append(args, k.UserID, k.DeviceID)
	}
	if err := s.write(ctx).Exec("UPDATE devices SET last_seen_at = ? WHERE (user_id, device_id) IN ("+s.tuples(len(keys), 2)+")", args...).Error; err != nil {
		return fmt.Errorf("touch devices: %w", err)
	}
	return nil
}

// DeleteDevice forgets a device and its positions and answers what it was; CodeNotFound
// when it is unknown.
func (s *Store) DeleteDevice(ctx context.Context, key DeviceKey) (d Device, err error) {
	err = s.Tx(ctx, func(tx *Store) error {
		if d, err = tx.DeviceByKey(ctx, key); err != nil {
			return err
		}
		if err := tx.write(ctx).Exec("DELETE FROM devices WHERE user_id = ? AND device_id = ?", key.UserID, key.DeviceID).Error; err != nil {
			return fmt.Errorf("delete device: %w", err)
		}
		err := tx.write(ctx).Exec("DELETE FROM selective_acks WHERE user_id = ? AND device_id = ?", key.UserID, key.DeviceID).Error
		return errors.Join(err, tx.write(ctx).Exec("DELETE FROM log_positions WHERE user_id = ? AND device_id = ?", key.UserID, key.DeviceID).Error)
	})
	return d, err
}

// MakeRoomForDevice forgets a user's longest unseen devices until fewer than limit are left.
func (s *Store) MakeRoomForDevice(ctx context.Context, user UserID, limit int) error {
	var count int
	if err := s.read(ctx).Raw("SELECT COUNT(*) FROM devices WHERE user_id = ?", user).Row().Scan(&count); err != nil {
		return fmt.Errorf("count devices: %w", err)
	}
	if count < limit {
		return nil
	}
	var surplus []DeviceID
	if err := s.read(ctx).Raw("SELECT device_id FROM devices WHERE user_id = ? ORDER BY last_seen_at, device_id LIMIT ?", user, count-limit+1).Scan(&surplus).Error; err != nil {
		return fmt.Errorf("find the longest unseen devices: %w", err)
	}
	for _, id := range surplus {
		if _, err := s.DeleteDevice(ctx, DeviceKey{UserID: user, DeviceID: id}); err != nil && CodeOf(err) != CodeNotFound {
			return err
		}
	}
	return nil
}

// SelectiveAcks reads which entries above their positions at most 500 devices have
// acked one by one, ascending.
func (s *Store) SelectiveAcks(ctx context.Context, keys []DeviceKey) (map[DeviceKey][]int64, error) {
	found := map[DeviceKey][]int64{}
	return found, s.run(ctx, s.readSelectiveAcks(keys, found))
}

func (s *Store) readSelectiveAcks(keys []DeviceKey, found map[DeviceKey][]int64) *step {
	q := newStep("read selective acks", "SELECT user_id, device_id, seq FROM selective_acks WHERE (user_id, device_id) IN ("+s.tuplesOf(), 64+24*len(keys)).devices(keys).add(") ORDER BY user_id, device_id, seq")
	q.scan = func(r *sql.Rows) error {
		var k DeviceKey
		var seq int64
		err := r.Scan(&k.UserID, &k.DeviceID, &seq)
		found[k] = append(found[k], seq)
		return err
	}
	return q
}

// LogHead is a log conversation of a user and how far a device has acked it. A device
// that never acked there begins where its user has read or joined.
type LogHead struct {
	LogPosition
	Head int64
}

// LogHeads reads them for one device, at most 1,000, latest activity first; the announcements too, once there is one.
func (s *Store) LogHeads(ctx context.Context, key DeviceKey) ([]LogHead, error) {
	rows, err := s.read(ctx).Raw(`SELECT c.id, c.head, COALESCE(l.acked_seq, CASE WHEN p.read_seq > p.joined_seq THEN p.read_seq ELSE p.joined_seq END), c.updated_at AS activity
		FROM members p JOIN conversations c ON c.id = p.conversation_id
		LEFT JOIN log_positions l ON l.user_id = p.user_id AND l.device_id = ? AND l.conversation_id = p.conversation_id
		WHERE p.user_id = ? AND p.left_seq = 0 AND c.delivery = 'log' AND c.dissolved_at = 0
		UNION ALL SELECT c.id, c.head, COALESCE(l.acked_seq, e.read_seq, 0), c.updated_at
		FROM conversations c LEFT JOIN announcement_readers e ON e.user_id = ?
		LEFT JOIN log_positions l ON l.user_id = ? AND l.device_id = ? AND l.conversation_id = c.id
		WHERE c.id = ? AND c.head > 0 ORDER BY activity DESC LIMIT 1000`, key.DeviceID, key.UserID, key.UserID, key.UserID, key.DeviceID, Everyone).Rows()
	if err != nil {
		return nil, fmt.Errorf("read log conversations: %w", err)
	}
	return scanAll(rows, func(r *sql.Rows) (h LogHead, err error) {
		var activity Millis
		err = r.Scan(&h.ConversationID, &h.Head, &h.Acked, &activity)
		return h, err
	})
}

// LogMembership is a user's part in a log conversation.
type LogMembership struct {
	UserID         UserID
	ConversationID ConversationID
	JoinedSeq      int64
	Head           int64 // of the conversation
}

// LogMemberships reads those of at most 500 users, by user and conversation.
func (s *Store) LogMemberships(ctx context.Context, users []UserID) ([]LogMembership, error) {
	rows, err := s.read(ctx).Raw(`SELECT p.user_id, c.id, p.joined_seq, c.head
		FROM members p JOIN conversations c ON c.id = p.conversation_id
		WHERE p.user_id IN ? AND p.left_seq = 0 AND c.delivery = 'log' AND c.dissolved_at = 0 ORDER BY p.user_id, c.id`, users).Rows()
	if err != nil {
		return nil, fmt.Errorf("read memberships of log conversations: %w", err)
	}
	return scanAll(rows, func(r *sql.Rows) (m LogMembership, err error) {
		err = r.Scan(&m.UserID, &m.ConversationID, &m.JoinedSeq, &m.Head)
		return m, err
	})
}

// DeviceLogPosition is a device's position in one log conversation.
type DeviceLogPosition struct {
	Key DeviceKey
	LogPosition
}

// LogPositions reads all of at most 500 devices.
func (s *Store) LogPositions(ctx context.Context, keys []DeviceKey) ([]DeviceLogPosition, error) {
	args := make([]any, 0, 2*len(keys))
	for _, k := range keys {
		args = append(args, k.UserID, k.DeviceID)
	}
	rows, err := s.read(ctx).Raw("SELECT user_id, device_id, conversation_id, acked_seq FROM log_positions WHERE (user_id, device_id) IN ("+s.tuples(len(keys), 2)+")", args...).Rows()
	if err != nil {
		return nil, fmt.Errorf("read log positions: %w", err)
	}
	return scanAll(rows, func(r *sql.Rows) (p DeviceLogPosition, err error) {
		err = r.Scan(&p.Key.UserID, &p.Key.DeviceID, &p.ConversationID, &p.Acked)
		return p, err
	})
}

// LogPositionsIn reads the positions of at most 500 devices in one log conversation.
func (s *Store) LogPositionsIn(ctx context.Context, id ConversationID, keys []DeviceKey) (map[DeviceKey]int64, error) {
	args := make([]any, 0, 3*len(keys))
	for _, k := range keys {
		args = append(args, k.UserID, k.DeviceID, id)
	}
	rows, err := s.read(ctx).Raw("SELECT user_id, device_id, acked_seq FROM log_positions WHERE (user_id, device_id, conversation_id) IN ("+s.tuples(len(keys), 3)+")", args...).Rows()
	if err != nil {
		return nil, fmt.Errorf("read log positions: %w", err)
	}
	found := make(map[DeviceKey]int64, len(keys))
	_, err = scanAll(rows, func(r *sql.Rows) (struct{}, error) {
		var k DeviceKey
		var seq int64
		err := r.Scan(&k.UserID, &k.DeviceID, &seq)
		found[k] = seq
		return struct{}{}, err
	})
	return found, err
}

// PinLogPositions makes every known device of the users begin at a conversation_seq of a
// log conversation, or where it is already beyond: at the switch from mailbox to log, and for
// who joins one (again: what was said meanwhile is not theirs). A device that comes later
// begins where its user has read.
func (s *Store) PinLogPositions(ctx context.Context, id ConversationID, users []UserID, seq int64) error {
	onDuplicate := " ON DUPLICATE KEY UPDATE acked_seq = GREATEST(log_positions.acked_seq, VALUES(acked_seq))"
	if s.dialect == SQLite {
		onDuplicate = " ON CONFLICT (user_id, device_id, conversation_id) DO UPDATE SET acked_seq = MAX(acked_seq, excluded.acked_seq)"
	}
	return chunks(users, s.rows(rowsPerStatement), func(part []UserID) error {
		if err := s.write(ctx).Exec("INSERT INTO log_positions (user_id, device_id, conversation_id, acked_seq) SELECT user_id, device_id, ?, ? FROM devices WHERE user_id IN ?"+onDuplicate, id, seq, part).Error; err != nil {
			return fmt.Errorf("pin log positions: %w", err)
		}
		return nil
	})
}

// ConversationHeads reads the heads of at most 500 conversations.
func (s *Store) ConversationHeads(ctx context.Context, ids []ConversationID) (map[ConversationID]int64, error) {
	rows, err := s.read(ctx).Raw("SELECT id, head FROM conversations WHERE id IN ?", ids).Rows()
	if err != nil {
		return nil, fmt.Errorf("read conversation heads: %w", err)
	}
	heads := make(map[ConversationID]int64, len(ids))
	_, err = scanAll(rows, func(r *sql.Rows) (struct{}, error) {
		var id ConversationID
		var head int64
		err := r.Scan(&id, &head)
		heads[id] = head
		return struct{}{}, err
	})
	return heads, err
}

// LogPosition is a device's acked conversation_seq in a log conversation.
type LogPosition struct {
	ConversationID ConversationID
	Acked          int64
}

// raiseLogPositions moves positions in log conversations forward; the list is sorted by
// user, device and conversation, and has each once.
func (s *Store) raiseLogPositions(list []DeviceLogPosition) (steps []*step) {
	onDuplicate := " ON DUPLICATE KEY UPDATE acked_seq = GREATEST(acked_seq, VALUES(acked_seq))"
	if s.dialect == SQLite {
		onDuplicate = " ON CONFLICT (user_id, device_id, conversation_id) DO UPDATE SET acked_seq = MAX(acked_seq, excluded.acked_seq)"
	}
	for part := range slices.Chunk(list, s.rows(rowsPerStatement)) {
		q := newStep("write log positions", "INSERT INTO log_positions (user_id, device_id, conversation_id, acked_seq) VALUES ", 128+64*len(part))
		for _, p := range part {
			q.comma()
			q.add("(").number(int64(p.Key.UserID)).add(",").string(string(p.Key.DeviceID)).add(",").number(int64(p.ConversationID)).add(",").number(p.Acked).add(")")
		}
		steps = append(steps, q.add(onDuplicate))
	}
	return steps
}

// addSelectiveAcks remembers entries that a device acked out of order; known ones
// stay.
func (s *Store) addSelectiveAcks(key DeviceKey, seqs []int64) (steps []*step) {
	insert := "INSERT IGNORE INTO"
	if s.dialect == SQLite {
		insert = "INSERT OR IGNORE INTO"
	}
	for part := range slices.Chunk(seqs, s.rows(rowsPerStatement)) {
		q := newStep("write selective acks", insert+" selective_acks (user_id, device_id, seq) VALUES ", 32*len(part))
		for _, seq := range part {
			q.comma()
			q.add("(").number(int64(key.UserID)).add(",").string(string(key.DeviceID)).add(",").number(seq).add(")")
		}
		steps = append(steps, q)
	}
	return steps
}

// dropSelectiveAcks forgets what a position has moved over.
func dropSelectiveAcks(key DeviceKey, upTo int64) *step {
	q := newStep("drop selective acks", "DELETE FROM selective_acks WHERE user_id = ", 96).number(int64(key.UserID))
	return q.add(" AND device_id = ").string(string(key.DeviceID)).add(" AND seq <= ").number(upTo)
}
