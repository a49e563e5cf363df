import type { IncomingMessage } from 'node:http'
import { GibilError } from '@gibil/contract'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { addressesOf } from './address.ts'
import { foreignCookies, isOurs, withoutToken } from './credentials.ts'
import { checkFraming, requestHeaders, responseHeaders, upgradeOf } from './headers.ts'
import { hostNameOf, placeOf } from './host.ts'
import { errorPage } from './page.ts'

/** As Node's parser gives a request, as far as it matters here. */
function message(
  lines: readonly (readonly [string, string])[],
  change: Partial<IncomingMessage> = {},
): IncomingMessage {
  const headers: Record<string, string> = {}
  for (const [name, value] of lines) {
    const lower = name.toLowerCase()
    headers[lower] = headers[lower] === undefined ? value : `${headers[lower]}, ${value}`
  }
  return {
    headers,
    rawHeaders: lines.flat(),
    method: 'GET',
    url: '/',
    socket: { remoteAddress: '127.0.0.1' },
    ...change,
  } as IncomingMessage
}
const names = (flat: readonly string[]): string[] => flat.filter((_, index) => index % 2 === 0)
const headerIn = (flat: readonly string[], name: string): string | undefined =>
  flat[flat.findIndex((one, index) => index % 2 === 0 && one.toLowerCase() === name.toLowerCase()) + 1]

describe('the host of an address', () => {
  test.each([
    ['3000-web.localhost', 3000, 'web'],
    ['3000-web.localhost:7080', 3000, 'web'],
    ['80-my-long-name.localhost:1', 80, 'my-long-name'],
    ['8080-a3000-b.LOCALHOST', 8080, 'a3000-b'],
    ['65535-bxaaaaaaaaaaaa.localhost', 65535, 'bxaaaaaaaaaaaa'],
  ])('%s', (host, port, box) => {
    expect(placeOf(host)).toEqual({ port, box })
  })
  test.each([
    undefined,
    '',
    'localhost',
    '127.0.0.1:7080',
    'web.localhost',
    '3000-web',
    '3000-web.localhost.',
    '3000-web.localhost.evil.com',
    '3000-web.evil.com',
    '0-web.localhost',
    '65536-web.localhost',
    '03000-web.localhost',
    '3000-.localhost',
    '3000-web-.localhost',
    '3000--web.localhost',
    '-web.localhost',
    '3000-web@ci.localhost',
    '3000-web.ci.localhost',
    'x@3000-web.localhost',
    '3000-web.localhost:',
    '3000-web.localhost:7080 ',
    '3000-web.localhost\n',
  ])('%j is none', (host) => {
    expect(placeOf(host)).toBeUndefined()
  })
  test('is what is made of a box, for every name and port', () => {
    const name = fc.stringMatching(/^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/)
    fc.assert(
      fc.property(name, fc.integer({ min: 1, max: 65_535 }), fc.boolean(), (box, port, own) => {
        const host = hostNameOf({ id: 'bxaaaaaaaaaaaa', name: box, owner: own ? null : 'ci' }, port)
        expect(host.length).toBeLessThanOrEqual(63 + '.localhost'.length)
        const isLong = `${port}-${box}`.length > 63
        expect(placeOf(host)).toEqual({ port, box: own && !isLong ? box : 'bxaaaaaaaaaaaa' })
      }),
    )
  })
  test('stands in a link, whose token is that of a private port only', () => {
    const ports = [
      { port: 80, public: true, secret: 's1' },
      { port: 3000, public: false, secret: 's2' },
    ]
    const box = {
      id: 'bxaaaaaaaaaaaa',
      name: 'w',
      owner: null,
      status: 'running',
      readiness: 'ready',
      failure: null,
    } as const
    expect(addressesOf({ box, ports }, 7080)).toEqual([
      { port: 80, public: true, url: 'http://80-w.localhost:7080/', link: 'http://80-w.localhost:7080/', token: null },
      {
        port: 3000,
        public: false,
        url: 'http://3000-w.localhost:7080/',
        link: 'http://3000-w.localhost:7080/?gibil_token=s2',
        token: 's2',
      },
    ])
    expect(addressesOf({ box, ports }, null)[1]).toMatchObject({ url: null, link: null })
  })
})

describe('what is ours', () => {
  test('the token leaves the address, and nothing else of it changes', () => {
    expect(withoutToken('/a?gibil_token=x')).toEqual({ url: '/a', token: 'x' })
    expect(withoutToken('/a?b=%20&gibil_token=x&c&&d=?')).toEqual({ url: '/a?b=%20&c&&d=?', token: 'x' })
    expect(withoutToken('/a?gibil_token=x&gibil_token=y&gibil_token')).toEqual({ url: '/a', token: 'x' })
    expect(withoutToken('/a?my_gibil_token=x')).toEqual({ url: '/a?my_gibil_token=x', token: undefined })
    expect(withoutToken('/gibil_token=x')).toEqual({ url: '/gibil_token=x', token: undefined })
  })
  test('our cookies are taken out, of every box, and others stay as they are', () => {
    expect(foreignCookies('a=1; gibil_bxaaaaaaaaaaaa_3000=s; b="x y"; gibil_theme=dark')).toBe(
      'a=1; b="x y"; gibil_theme=dark',
    )
    expect(foreignCookies('gibil_bxaaaaaaaaaaaa_3000=s;gibil_bxbbbbbbbbbbbb_80=t')).toBeUndefined()
    expect(foreignCookies('a=gibil_bxaaaaaaaaaaaa_3000=s')).toBe('a=gibil_bxaaaaaaaaaaaa_3000=s')
  })
  test('an Authorization with a token of Gibil', () => {
    const known = (token: string): boolean => token === 'secret'
    expect(isOurs('Bearer secret', known)).toBe(true)
    expect(isOurs(`bearer gibil_${'0'.repeat(64)}`, known)).toBe(true)
    expect(isOurs('Bearer of-the-app', known)).toBe(false)
    expect(isOurs('Basic secret', known)).toBe(false)
  })
})

describe('headers', () => {
  const never = (): boolean => false

  test('of a connection stay with it, and those that Connection names', () => {
    const request = message([
      ['Host', '3000-w.localhost'],
      ['Connection', 'keep-alive, X-Secret, Host, Content-Length'],
      ['Keep-Alive', 'timeout=5'],
      ['X-Secret', 's'],
      ['Proxy-Connection', 'x'],
      ['Proxy-Authorization', 'x'],
      ['TE', 'trailers, gzip'],
      ['X-Forwarded-For', '6.6.6.6'],
      ['Forwarded', 'for=6.6.6.6'],
      ['X-Gibil-Token', 't'],
      ['Content-Length', '3'],
      ['Accept', 'a'],
      ['accept', 'b'],
    ])
    expect(requestHeaders(request, undefined, never)).toEqual([
      ...['Host', '3000-w.localhost', 'Content-Length', '3', 'Accept', 'a', 'accept', 'b'],
      ...['X-Forwarded-For', '127.0.0.1', 'X-Forwarded-Host', '3000-w.localhost', 'X-Forwarded-Proto', 'http'],
      ...['Connection', 'close, TE', 'TE', 'trailers'],
    ])
  })
  test('an upgrade goes on, but not one that would carry requests past the proxy, or that has a body', () => {
    const asked = (protocol: string, ...more: (readonly [string, string])[]) =>
      upgradeOf(message([['Connection', 'keep-alive, Upgrade'], ['Upgrade', protocol], ...more]))
    expect(asked('websocket')).toBe('websocket')
    expect(asked('my-protocol/2')).toBe('my-protocol/2')
    for (const protocol of ['h2c', 'foo, h2c', 'HTTP/2.0']) expect(asked(protocol)).toBeUndefined()
    expect(asked('websocket', ['Content-Length', '1'])).toBeUndefined()
    expect(asked('websocket', ['Transfer-Encoding', 'chunked'])).toBeUndefined()
    expect(upgradeOf(message([['Upgrade', 'websocket']]))).toBeUndefined()
    const sent = requestHeaders(
      message([
        ['Connection', 'Upgrade'],
        ['Upgrade', 'x/1'],
      ]),
      'x/1',
      never,
    )
    expect([headerIn(sent, 'connection'), headerIn(sent, 'upgrade')]).toEqual(['Upgrade', 'x/1'])
  })
  test('a body has one length, and trailers only in chunks', () => {
    const chunked = requestHeaders(
      message([
        ['Transfer-Encoding', 'chunked'],
        ['Trailer', 'X'],
      ]),
      undefined,
      never,
    )
    expect(chunked).toContain('chunked')
    expect(names(chunked)).toContain('Trailer')
    const empty = requestHeaders(message([['Trailer', 'X']], { method: 'POST' }), undefined, never)
    expect(headerIn(empty, 'content-length')).toBe('0')
    expect(names(empty)).not.toContain('Trailer')
    const both = message([
      ['Transfer-Encoding', 'chunked'],
      ['Content-Length', '5'],
      ['Connection', 'X-A'],
      ['X-A', '1'],
    ])
    expect(responseHeaders(both, true)).toEqual([])
    expect(
      responseHeaders(
        message([
          ['Set-Cookie', 'a'],
          ['Set-Cookie', 'b'],
          ['Content-Length', '5'],
        ]),
        false,
      ),
    ).toEqual([...['Set-Cookie', 'a', 'Set-Cookie', 'b', 'Content-Length', '5']])
  })
  test('no token, cookie or header of ours is ever among them, wherever it stands', () => {
    const secret = 'the-secret'
    const header = fc.constantFrom(
      ['Cookie', `gibil_bxaaaaaaaaaaaa_80=${secret}`],
      ['cookie', `x=1; gibil_bxaaaaaaaaaaaa_80=${secret} ;y=2`],
      ['X-Gibil-Token', secret],
      ['Authorization', `Bearer ${secret}`],
      ['Connection', 'Cookie, Authorization, X-Gibil-Token'],
      ['Accept', '*/*'],
    ) as fc.Arbitrary<[string, string]>
    fc.assert(
      fc.property(fc.array(header), (lines) => {
        const sent = requestHeaders(message(lines), undefined, (value) => value === `Bearer ${secret}`)
        expect(sent.join('\n')).not.toContain(secret)
      }),
    )
  })
  test('what can be read in two ways is refused', () => {
    const refused = (...given: Parameters<typeof message>) =>
      expect(() => checkFraming(message(...given))).toThrow(GibilError)
    refused([
      ['Host', 'a'],
      ['host', 'b'],
    ])
    refused([['Transfer-Encoding', 'gzip, chunked']])
    refused([
      ['Transfer-Encoding', 'chunked'],
      ['Transfer-Encoding', 'chunked'],
    ])
    refused([
      ['Transfer-Encoding', 'chunked'],
      ['Content-Length', '1'],
    ])
    refused([], { url: 'http://3000-w.localhost/' })
    refused([], { url: '*' })
    checkFraming(message([], { url: '*', method: 'OPTIONS' }))
    checkFraming(message([['Transfer-Encoding', 'Chunked']]))
  })
})

describe('pages', () => {
  const error = new GibilError('port_closed', 'Nothing in "<b>&" listens.', { hint: 'Do `it`.' })
  test('are HTML for browsers, JSON and text for others', () => {
    const page = errorPage(error, 'text/html,*/*', { comesSoon: true })
    expect(page).toMatchObject({ status: 502, headers: { 'retry-after': '2', 'cache-control': 'no-store' } })
    expect(page.body).toContain('Nothing in &quot;&lt;b&gt;&amp;&quot; listens.')
    expect(page.body).toContain('http-equiv="refresh"')
    const json = errorPage(error, 'application/json', { comesSoon: false })
    expect(JSON.parse(json.body)).toMatchObject({ error: { code: 'port_closed', hint: 'Do `it`.' } })
    expect(errorPage(error, '*/*', { comesSoon: false }).body).toBe('Nothing in "<b>&" listens.\n  next: Do `it`.\n')
    const wrong = new GibilError('wrong_state', 'Stopped.')
    expect(errorPage(wrong, undefined, { comesSoon: false }).status).toBe(503)
  })
})
