package model

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// minPacket is the smallest max_allowed_packet, in bytes, that a full batch surely fits in.
const minPacket = 16 << 20

// Warnings names settings of the database that break a promise: what a crash could
// take back, or what would make large batches fail. Empty on SQLite, whose settings
// are ours.
func (s *Store) Warnings(ctx context.Context) ([]string, error) {
	if s.dialect == SQLite {
		return nil, nil
	}
	type row struct {
		Name  string `gorm:"column:Variable_name"`
		Value string `gorm:"column:Value"`
	}
	var rows, own []row
	if err := s.read(ctx).Raw("SHOW GLOBAL VARIABLES WHERE Variable_name IN ('innodb_flush_log_at_trx_commit','sync_binlog','log_bin','binlog_format','max_allowed_packet','innodb_doublewrite')").Scan(&rows).Error; err != nil {
		return nil, fmt.Errorf("read database settings: %w", err)
	}
	// The isolation is that of our own connections; its name differs between versions.
	if err := s.read(ctx).Raw("SHOW SESSION VARIABLES WHERE Variable_name IN ('tx_isolation','transaction_isolation')").Scan(&own).Error; err != nil {
		return nil, fmt.Errorf("read database settings: %w", err)
	}
	value := map[string]string{}
	for _, r := range append(rows, own...) {
		value[strings.ToLower(r.Name)] = r.Value
	}
	return unsafeSettings(value), nil
}

// unsafeSettings judges settings by their names in lower case. One that a database does not
// have is not judged.
func unsafeSettings(value map[string]string) (warnings []string) {
	warn := func(name, what string) { warnings = append(warnings, name+"="+value[name]+": "+what) }
	if v := value["innodb_flush_log_at_trx_commit"]; v != "" && v != "1" {
		warn("innodb_flush_log_at_trx_commit", "a crash of the database loses messages that were answered with 201; set it to 1")
	}
	switch {
	case off(value["log_bin"]):
		warn("log_bin", "after a crash of the database, rows that others had read can be gone and their sequences given out again; clients notice by after_id, but log_bin=ON with sync_binlog=1 prevents it")
	case value["sync_binlog"] != "" && value["sync_binlog"] != "1":
		warn("sync_binlog", "after a crash of the database, rows that others had read can be gone and their sequences given out again; set it to 1")
	}
	if strings.EqualFold(value["binlog_format"], "STATEMENT") && !off(value["log_bin"]) {
		warn("binlog_format", "the database refuses writes at READ COMMITTED; set it to ROW")
	}
	if v := value["innodb_doublewrite"]; off(v) || strings.EqualFold(v, "DETECT_ONLY") {
		warn("innodb_doublewrite", "a torn page can destroy a table at a power cut; set it to ON, unless the file system writes pages whole")
	}
	for _, name := range []string{"tx_isolation", "transaction_isolation"} {
		if v := value[name]; v != "" && !strings.EqualFold(v, "READ-COMMITTED") {
			warn(name, "connections should be at READ COMMITTED, and something between here and the database prevents it")
		}
	}
	if n, err := strconv.ParseInt(value["max_allowed_packet"], 10, 64); err == nil && n < minPacket {
		warn("max_allowed_packet", "large batches fail and are split; set it to at least "+strconv.Itoa(minPacket))
	}
	return warnings
}

func off(value string) bool { return strings.EqualFold(value, "OFF") || value == "0" }
