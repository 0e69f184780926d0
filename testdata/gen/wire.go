package main

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"strings"
)

// text8 is text behind a byte with its length.
type text8 string

// plainText is text as it is.
type plainText string

// wire makes bytes: a string is hexadecimal digits and spaces, an int one byte.
func wire(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			b = append(b, byte(p))
		case uint16:
			b = binary.BigEndian.AppendUint16(b, p)
		case uint32:
			b = binary.BigEndian.AppendUint32(b, p)
		case net.HardwareAddr:
			b = append(b, p...)
		case []byte:
			b = append(b, p...)
		case text8:
			b = append(append(b, byte(len(p))), p...)
		case plainText:
			b = append(b, p...)
		case string:
			h, err := hex.DecodeString(strings.ReplaceAll(p, " ", ""))
			if err != nil {
				panic(fmt.Sprintf("%q: %v", p, err))
			}
			b = append(b, h...)
		default:
			panic(fmt.Sprintf("no bytes for a %T", p))
		}
	}
	return b
}

// repeat makes n bytes.
func repeat(b byte, n int) []byte {
	return []byte(strings.Repeat(string([]byte{b}), n))
}
