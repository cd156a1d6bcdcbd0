package discord

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"
)

// opus is a recording of so many packets that grow louder, as Opus in Ogg.
func opus(packets int, long time.Duration) []byte {
	var out bytes.Buffer
	page := func(granule int64, data ...[]byte) {
		var lacing, body []byte
		for _, d := range data {
			for n := len(d); ; n -= 255 {
				if n < 255 {
					lacing = append(lacing, byte(n))
					break
				}
				lacing = append(lacing, 255)
			}
			body = append(body, d...)
		}
		head := make([]byte, 27)
		copy(head, "OggS")
		binary.LittleEndian.PutUint64(head[6:], uint64(granule))
		head[26] = byte(len(lacing))
		out.Write(head)
		out.Write(lacing)
		out.Write(body)
	}
	head := append([]byte("OpusHead\x01\x01"), 0x38, 0x01, 0x80, 0xbb, 0, 0, 0, 0, 0)
	page(0, head)
	page(0, []byte("OpusTags\x00\x00\x00\x00\x00\x00\x00\x00"))
	for i := range packets {
		page(312+int64(i+1)*int64(long.Seconds()*opusRate)/int64(packets), bytes.Repeat([]byte{1}, 20+i*300/packets))
	}
	return out.Bytes()
}

func TestOggOpus(t *testing.T) {
	seconds, wave, err := oggOpus(opus(50, 3*time.Second))
	if err != nil || seconds < 2.99 || seconds > 3.01 || len(wave) != 30 || wave[0] >= wave[29] || wave[29] != 255 {
		t.Errorf("%v seconds, %v, %v", seconds, wave, err)
	}
	if _, wave, err = oggOpus(opus(60, 3*time.Minute)); err != nil || len(wave) != 60 {
		t.Errorf("%d bars, %v", len(wave), err)
	}
	for _, bad := range []string{"", "RIFF", "OggS", string(opus(3, time.Second)[:60])} {
		if _, _, err := oggOpus([]byte(bad)); err == nil {
			t.Errorf("%q is a recording", bad)
		}
	}
}

func FuzzOggOpus(f *testing.F) {
	f.Add(opus(3, time.Second))
	f.Add([]byte("OggS"))
	f.Fuzz(func(t *testing.T, data []byte) {
		seconds, wave, err := oggOpus(data)
		if err == nil && (seconds <= 0 || len(wave) == 0 || len(wave) > mostBars) {
			t.Errorf("%v seconds, %d bars", seconds, len(wave))
		}
	})
}
