package speech

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// Rates of sound, in samples a second.
const (
	PhoneRate  = 8000  // of Mulaw
	EngineRate = 16000 // of WAV as engines take it
)

// PCM is sound as numbers: one channel, 16 bits a sample.
type PCM struct {
	Rate    int
	Samples []int16
}

// Seconds is how long it lasts.
func (p PCM) Seconds() float64 {
	if p.Rate <= 0 {
		return 0
	}
	return float64(len(p.Samples)) / float64(p.Rate)
}

// ErrWAV is what is wrong with a WAV that is none, or of a kind that is not taken.
var ErrWAV = errors.New("no WAV of 16-bit PCM with one or two channels")

// ParseWAV reads a WAV of 16-bit PCM; of two channels, the mean. A header that
// says more than there is, as of a stream, is taken for what there is.
func ParseWAV(b []byte) (PCM, error) {
	if len(b) < 12 || string(b[:4]) != "RIFF" || string(b[8:12]) != "WAVE" {
		return PCM{}, ErrWAV
	}
	var p PCM
	channels := 0
	for b = b[12:]; len(b) >= 8; {
		id, size := string(b[:4]), int(min(binary.LittleEndian.Uint32(b[4:8]), 1<<30))
		body := b[8:]
		body = body[:min(size, len(body))]
		switch id {
		case "fmt ":
			if len(body) < 16 {
				return PCM{}, ErrWAV
			}
			kind, bits := binary.LittleEndian.Uint16(body), binary.LittleEndian.Uint16(body[14:])
			channels, p.Rate = int(binary.LittleEndian.Uint16(body[2:])), int(binary.LittleEndian.Uint32(body[4:]))
			if kind != 1 && kind != 0xfffe || bits != 16 || channels < 1 || channels > 2 || p.Rate < 4000 || p.Rate > 192000 {
				return PCM{}, ErrWAV
			}
		case "data":
			if channels == 0 {
				return PCM{}, ErrWAV
			}
			for i := 0; i+2*channels <= len(body); i += 2 * channels {
				sum := 0
				for c := range channels {
					sum += int(int16(binary.LittleEndian.Uint16(body[i+2*c:])))
				}
				p.Samples = append(p.Samples, int16(sum/channels))
			}
			return p, nil
		}
		b = b[min(8+size+size%2, len(b)):]
	}
	return PCM{}, ErrWAV
}

// WAV writes the sound with a RIFF header.
func (p PCM) WAV() []byte {
	var b bytes.Buffer
	n := uint32(2 * len(p.Samples))
	b.WriteString("RIFF")
	_ = binary.Write(&b, binary.LittleEndian, 36+n) // a Buffer takes everything
	b.WriteString("WAVEfmt ")
	_ = binary.Write(&b, binary.LittleEndian, struct {
		Size           uint32
		Kind, Channels uint16
		Rate, Bytes    uint32
		Align, Bits    uint16
	}{16, 1, 1, uint32(p.Rate), uint32(2 * p.Rate), 2, 16})
	b.WriteString("data")
	_ = binary.Write(&b, binary.LittleEndian, n)
	_ = binary.Write(&b, binary.LittleEndian, p.Samples)
	return b.Bytes()
}

// Resampled is the sound at another rate, without what the lower rate cannot hold.
func (p PCM) Resampled(rate int) PCM {
	if p.Rate == rate || p.Rate <= 0 || rate <= 0 || len(p.Samples) == 0 {
		return PCM{Rate: rate, Samples: p.Samples}
	}
	return PCM{Rate: rate, Samples: resample(p.Samples, p.Rate, rate)}
}

// ParseMulaw reads G.711 µ-law at PhoneRate.
func ParseMulaw(b []byte) PCM {
	p := PCM{Rate: PhoneRate, Samples: make([]int16, len(b))}
	for i, u := range b {
		u = ^u
		v := (int(u&0x0f)<<3 + 0x84) << (u >> 4 & 7)
		v -= 0x84
		if u&0x80 != 0 {
			v = -v
		}
		p.Samples[i] = int16(v)
	}
	return p
}

// Mulaw is the sound as a telephone carries it.
func (p PCM) Mulaw() []byte {
	const bias, clip = 0x84, 32635
	q := p.Resampled(PhoneRate)
	out := make([]byte, len(q.Samples))
	for i, s := range q.Samples {
		v, sign := int(s), byte(0)
		if v < 0 {
			v, sign = -v, 0x80
		}
		v = min(v, clip) + bias
		exp := 7
		for mask := 0x4000; v&mask == 0 && exp > 0; mask >>= 1 {
			exp--
		}
		out[i] = ^(sign | byte(exp<<4) | byte(v>>(exp+3)&0x0f))
	}
	return out
}
