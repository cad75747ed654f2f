package main

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// shown are the figures of each dimension's table.
var shown = map[string][]figure{
	"mailboxes": {
		{"send/sends_per_s", "sends/s, closed loop", higher},
		{"send/send_p50_ms", "… send p50, ms", lower},
		{"send/send_p99_ms", "… send p99, ms", lower},
		{"send/server_cpu_us_a_message", "… server CPU, µs a message", lower},
		{"send/mariadb_cpu_us_a_message", "… MariaDB CPU, µs a message", lower},
		{"send/redis_cpu_us_a_message", "… Redis CPU, µs a message", lower},
		{"rate/push_p50_ms", "at a constant rate: send to push p50, ms", lower},
		{"rate/push_p99_ms", "… p99, ms", lower},
		{"rate/server_cpu_us_a_message", "… server CPU, µs a message", lower},
		{"rate/mariadb_cpu_us_a_message", "… MariaDB CPU, µs a message", lower},
		{"send/others_cpu_pct", "CPU that others took of the machine, %", either},
		{"store/messages", "messages filled in", either},
		{"store/bytes_mb", "tables with indexes, MB", either},
		{"store/pool_mb", "buffer pool, MB", either},
		{"store/message_bytes", "bytes a message (messages, send_keys, two mailbox rows)", lower},
		{"store/user_bytes", "bytes a user beside that (two conversations; the senders' contacts of earlier steps are in it)", either},
	},
	"groups": {
		{"group/messages_per_s", "mailbox: messages/s", either},
		{"group/pushes_per_s", "mailbox: pushes/s", either},
		{"group/server_cpu_us_a_push", "mailbox: server CPU, µs a push", lower},
		{"group/mariadb_cpu_us_a_push", "mailbox: MariaDB CPU, µs a push", lower},
		{"group/send_p99_ms", "mailbox: send p99, ms", either},
		{"log/pushes_per_s", "log: pushes/s in a burst", higher},
		{"log/messages_per_s", "log: messages/s in a burst", either},
		{"log/last_push_p50_ms", "log: send to last push p50, ms", either},
		{"log/server_cpu_us_a_push", "log: server CPU, µs a push", lower},
		{"log/mariadb_cpu_us_a_push", "log: MariaDB CPU, µs a push", lower},
		{"group/others_cpu_pct", "CPU that others took of the machine, %", either},
	},
	"online": {
		{"send/sends_per_s", "sends/s, closed loop", higher},
		{"send/send_p99_ms", "… send p99, ms", lower},
		{"send/server_cpu_us_a_message", "… server CPU, µs a message", lower},
		{"rate/push_p50_ms", "at a constant rate: send to push p50, ms", lower},
		{"rate/push_p99_ms", "… p99, ms", lower},
		{"rate/server_cpu_us_a_message", "… server CPU, µs a message", lower},
		{"idle/rss_mb", "server RSS at the end, MB", either},
		{"idle/rss_kb_a_socket", "… KB an idle socket more than without", either},
		{"idle/server_cpu_us_a_socket_s", "… server CPU, µs a second and idle socket", either},
		{"idle/mariadb_cpu_us_a_socket_s", "… MariaDB CPU, µs a second and idle socket", either},
		{"idle/redis_cpu_us_a_socket_s", "… Redis CPU, µs a second and idle socket", either},
		{"idle/open", "idle sockets still open at the end", either},
		{"send/others_cpu_pct", "CPU that others took of the machine, %", either},
	},
	"nodes": {
		{"send/sends_per_s", "sends/s, closed loop", higher},
		{"send/send_p99_ms", "… send p99, ms", lower},
		{"send/server_cpu_us_a_message", "… CPU of all nodes, µs a message", lower},
		{"send/mariadb_cpu_us_a_message", "… MariaDB CPU, µs a message", lower},
		{"send/redis_cpu_us_a_message", "… Redis CPU, µs a message", lower},
		{"send/redis_commands_a_message", "… Redis commands a message", either},
		{"send/redis_bytes_out_a_message", "… bytes out of Redis a message", either},
		{"rate/push_p50_ms", "at a constant rate: send to push p50, ms", lower},
		{"rate/push_p99_ms", "… p99, ms", lower},
		{"rate/server_cpu_us_a_message", "… CPU of all nodes, µs a message", lower},
		{"rate/redis_commands_a_message", "… Redis commands a message", either},
		{"send/others_cpu_pct", "CPU that others took of the machine, %", either},
	},
}

// judged says whether a dimension has a goal, and how it reads.
var judged = map[string]string{
	"mailboxes": "no figure falls below 80% of its start (a cost or a time: rises above 125%)",
}

// writeMarkdown prints a table a dimension: a row a figure, a column a step with its ratio to the first.
func (r *result) writeMarkdown(w io.Writer) error {
	var b strings.Builder
	for _, d := range r.Dimensions {
		d.markdown(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (d *dimension) markdown(b *strings.Builder) {
	fmt.Fprintf(b, "\n### %s\n\n", strings.ToUpper(d.Name[:1])+d.Name[1:])
	fmt.Fprintf(b, "Measured %s.", d.Started.Format(time.DateOnly))
	for _, name := range slices.Sorted(maps.Keys(d.Setup)) {
		fmt.Fprintf(b, " %s: %s.", name, d.Setup[name])
	}
	fmt.Fprintf(b, "\n\n| %s |", d.What)
	rule := "|---|"
	for _, s := range d.Steps {
		fmt.Fprintf(b, " %s |", s.Label)
		rule += "---:|"
	}
	fmt.Fprintf(b, "\n%s\n", rule)
	for _, f := range shown[d.Name] {
		start, present := math.NaN(), false
		row := "| " + f.title + " |"
		for _, s := range d.Steps {
			v, ok := s.Figures[f.name]
			switch {
			case !ok:
				row += " |"
				continue
			case !present:
				row += " " + digits(v) + " |"
				start = v
			case f.sense == either || start <= 0:
				row += " " + digits(v) + " |"
			default:
				row += fmt.Sprintf(" %s (%.2f) |", digits(v), v/start)
			}
			present = true
		}
		if present {
			b.WriteString(row + "\n")
		}
	}
	if goal := judged[d.Name]; goal != "" && len(d.Steps) > 1 {
		fallen := d.fallen(shown[d.Name])
		verdict := "**met**"
		if len(fallen) > 0 {
			verdict = "**missed**: " + strings.Join(fallen, "; ")
		}
		fmt.Fprintf(b, "\nGoal, %s: %s.\n", goal, verdict)
	}
	for _, s := range d.Steps {
		if len(s.Errors) > 0 {
			fmt.Fprintf(b, "\nErrors at %s: %s\n", s.Label, s.errorText())
		}
	}
}

// digits prints three significant digits, or all of a whole number's, with commas between thousands.
func digits(v float64) string {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "–"
	case v == math.Trunc(v) || math.Abs(v) >= 100:
		return grouped(strconv.FormatFloat(v, 'f', 0, 64))
	default:
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
}

// grouped puts commas between thousands.
func grouped(text string) string {
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
