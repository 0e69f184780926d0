package main

import (
	"fmt"
	"html"
	"io"
	"slices"
	"strings"

	"github.com/tundump/tundump/filter/stack"
)

// mapRow is how many bytes are in a row of a header map.
const mapRow = 4

// longPart is from how many bytes on options are one row, whatever their length.
const longPart = 4 * mapRow

// A cell is a box in a header map: some bytes of a layer in one row.
type cell struct {
	off, bytes int // from the start of the frame
	label      string
}

// mapRows cuts a layer into rows of cells.
func mapRows(l *stack.Layer) [][]cell {
	// Fields that share bytes share a box; there is one for what is between them, too.
	var boxes []cell
	fields := l.Fields()
	slices.SortStableFunc(fields, func(a, b stack.Field) int { return a.Off - b.Off })
	end := l.Off
	for _, f := range fields {
		if f.Off < end {
			last := &boxes[len(boxes)-1]
			last.label += "/" + f.Name
			last.bytes = max(last.bytes, f.Off+f.Size-last.off)
		} else {
			if f.Off > end {
				boxes = append(boxes, cell{end, f.Off - end, ""})
			}
			boxes = append(boxes, cell{f.Off, f.Size, f.Name})
		}
		last := boxes[len(boxes)-1]
		end = last.off + last.bytes
	}
	// What has no fields is at the end.
	tail, at := []cell(nil), l.Off+l.Bytes()
	for _, p := range slices.Backward(l.Parts) {
		if p.Name == stack.Options || p.Name == stack.Optional || p.Name == stack.Extensions {
			at -= p.Bytes
			tail = append([]cell{{at, p.Bytes, p.Name}}, tail...)
		}
	}
	if at > end {
		boxes = append(boxes, cell{end, at - end, ""})
	}
	boxes = append(boxes, tail...)

	var rows [][]cell
	for _, b := range boxes {
		if b.bytes > longPart {
			rows = append(rows, []cell{{b.off, b.bytes, fmt.Sprintf("%s, %d bytes", b.label, b.bytes)}})
			continue
		}
		for done := 0; done < b.bytes; {
			at := (b.off + done - l.Off) % mapRow
			if at == 0 {
				rows = append(rows, nil)
			}
			n := min(mapRow-at, b.bytes-done)
			label := b.label
			if done > 0 && label != "" {
				label = fmt.Sprintf("%s +%d", b.label, done)
			}
			rows[len(rows)-1] = append(rows[len(rows)-1], cell{b.off + done, n, label})
			done += n
		}
	}
	return rows
}

// mapTitle describes a layer.
func mapTitle(l layerInfo) string { return fmt.Sprintf("%s, %d bytes", l.Name, l.Bytes) }

// writeMap draws the headers with characters. At the start of each row is its
// offset, for each accessor.
func writeMap(w io.Writer, d stackInfo) {
	const margin, width = 8, 13 // characters: of an offset, and of a byte
	var head, rule strings.Builder
	for _, a := range d.accessors {
		fmt.Fprintf(&head, "%*s", margin, a+"[]")
		fmt.Fprintf(&rule, "%*s", margin, "")
	}
	head.WriteString("  ")
	rule.WriteString("  ")
	for i := range mapRow {
		fmt.Fprintf(&head, "|%-*s", width-1, fmt.Sprintf(" +%d", i))
		rule.WriteString("+" + strings.Repeat("-", width-1))
	}
	fmt.Fprintf(w, "%s|\n", head.String())
	for _, l := range d.Layers {
		title := " " + mapTitle(l) + " "
		line := rule.String()
		if at := len(d.accessors)*margin + 4; at+len(title) < len(line) {
			line = line[:at] + title + line[at+len(title):]
		}
		fmt.Fprintf(w, "%s+\n", line)
		for _, row := range l.rows {
			for i := range d.accessors {
				fmt.Fprintf(w, "%*s", margin, d.offset(i, row[0].off))
			}
			fmt.Fprint(w, "  ")
			for _, c := range row {
				fmt.Fprintf(w, "|%-*s", min(c.bytes, mapRow)*width-1, " "+c.label)
			}
			fmt.Fprintln(w, "|")
		}
	}
	fmt.Fprintf(w, "%s+\n", rule.String())
}

// writeSVG draws the headers as a picture: black on white, to be printed.
func writeSVG(w io.Writer, d stackInfo) {
	const (
		margin, width = 76, 120 // of an offset, and of a byte
		height        = 26      // of a row
		edge          = 20
	)
	left := edge + margin*len(d.accessors)
	right := left + mapRow*width
	y := edge
	var b strings.Builder
	text := func(x, y int, anchor, style, s string) {
		fmt.Fprintf(&b, "<text x=\"%d\" y=\"%d\" text-anchor=\"%s\"%s>%s</text>\n", x, y, anchor, style, html.EscapeString(s))
	}
	const bold = ` font-weight="bold"`
	text(edge, y+16, "start", bold, d.Stack)
	y += 2 * height
	for i, a := range d.accessors {
		text(edge+(i+1)*margin-12, y-8, "end", bold, a+"[]")
	}
	for i := range mapRow {
		text(left+i*width+width/2, y-8, "middle", "", fmt.Sprintf("+%d", i))
	}
	for _, l := range d.Layers {
		fmt.Fprintf(&b, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"#ddd\" stroke=\"#000\"/>\n", left, y, right-left, height)
		text(left+8, y+18, "start", bold, mapTitle(l))
		y += height
		for _, row := range l.rows {
			for i := range d.accessors {
				text(edge+(i+1)*margin-12, y+18, "end", "", d.offset(i, row[0].off))
			}
			x := left
			for _, c := range row {
				n := min(c.bytes, mapRow) * width
				fmt.Fprintf(&b, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"none\" stroke=\"#000\"/>\n", x, y, n, height)
				text(x+n/2, y+18, "middle", "", c.label)
				x += n
			}
			y += height
		}
	}
	fmt.Fprintf(w, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%[1]d\" height=\"%[2]d\" viewBox=\"0 0 %[1]d %[2]d\""+
		" font-family=\"DejaVu Sans Mono, monospace\" font-size=\"14\">\n<title>%[3]s</title>\n<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n%[4]s</svg>\n",
		right+edge, y+edge, html.EscapeString(d.Stack), b.String())
}
