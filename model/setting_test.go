package model

import (
	"maps"
	"strings"
	"testing"

	"ackbox/internal/testenv"
)

// TestUnsafeSettings: each unsafe setting is named alone, with its value; safe ones and those
// that a database does not have are not.
func TestUnsafeSettings(t *testing.T) {
	t.Parallel()
	safe := map[string]string{
		"innodb_flush_log_at_trx_commit": "1", "log_bin": "ON", "sync_binlog": "1", "binlog_format": "MIXED", "innodb_doublewrite": "ON",
		"tx_isolation": "READ-COMMITTED", "max_allowed_packet": "16777216",
	}
	want(t, "of safe ones", len(unsafeSettings(safe)), 0)
	want(t, "of none", len(unsafeSettings(map[string]string{})), 0)
	for _, c := range []struct{ name, value string }{
		{"innodb_flush_log_at_trx_commit", "0"}, {"innodb_flush_log_at_trx_commit", "2"}, {"log_bin", "OFF"}, {"sync_binlog", "0"}, {"sync_binlog", "1000"},
		{"binlog_format", "STATEMENT"}, {"innodb_doublewrite", "OFF"}, {"innodb_doublewrite", "DETECT_ONLY"}, {"tx_isolation", "REPEATABLE-READ"}, {"transaction_isolation", "SERIALIZABLE"},
		{"max_allowed_packet", "16777215"}, {"max_allowed_packet", "1048576"},
	} {
		settings := maps.Clone(safe)
		settings[c.name] = c.value
		got := unsafeSettings(settings)
		if len(got) != 1 || !strings.HasPrefix(got[0], c.name+"="+c.value+": ") {
			t.Errorf("%s=%s: %q", c.name, c.value, got)
		}
	}
}

// TestWarnings sets a database of its own unsafely; what is named is what was set.
func TestWarnings(t *testing.T) {
	t.Parallel()
	server := testenv.StartMariaDB(t)
	s := open(t, Options{MySQLDSN: server.DSN("settings")})
	named := func(name string) bool {
		t.Helper()
		warnings, err := s.Warnings(t.Context())
		ok(t, err)
		for _, w := range warnings {
			if strings.HasPrefix(w, name+"=") {
				return true
			}
		}
		return false
	}
	want(t, "isolation, which we set, is named", named("tx_isolation"), false)
	for _, c := range []struct{ name, safe, unsafe string }{
		{"innodb_flush_log_at_trx_commit", "1", "2"}, {"max_allowed_packet", "33554432", "4194304"},
	} {
		for _, value := range []string{c.safe, c.unsafe, c.safe} {
			ok(t, s.write(t.Context()).Exec("SET GLOBAL "+c.name+" = "+value).Error)
			want(t, c.name+"="+value+" is named", named(c.name), value == c.unsafe)
		}
	}
	var logs string
	ok(t, s.read(t.Context()).Raw("SELECT @@log_bin").Row().Scan(&logs))
	want(t, "log_bin is named", named("log_bin"), logs == "0")
}
