import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseRepo, withoutCredentials } from './index.ts'

const invalid = expect.objectContaining({ code: 'invalid_repo' })

describe('parseRepo', () => {
  test.each([
    ['https://github.com/you/project', 'https', 'https://github.com/you/project'],
    ['http://10.0.0.1:3000/you/project.git', 'https', 'http://10.0.0.1:3000/you/project.git'],
    ['github.com/you/project', 'https', 'https://github.com/you/project'],
    ['git.example.org:8443/x/y.git', 'https', 'https://git.example.org:8443/x/y.git'],
    ['https://user:pw@github.com/you/project#main', 'https', 'https://github.com/you/project'],
    ['git@github.com:you/project.git', 'ssh', 'git@github.com:you/project.git'],
    ['git@host.example:/srv/project.git', 'ssh', 'git@host.example:/srv/project.git'],
    ['myhost:path/to/repo', 'ssh', 'myhost:path/to/repo'],
    ['ssh://git@host.example:2222/you/project', 'ssh', 'ssh://git@host.example:2222/you/project'],
    ['.', 'local', '.'],
    ['..', 'local', '..'],
    ['./x y', 'local', './x y'],
    ['../x', 'local', '../x'],
    ['/srv/x', 'local', '/srv/x'],
    ['~/x', 'local', '~/x'],
    ['file:///srv/a%20b', 'local', '/srv/a b'],
  ])('%s is %s', (text, kind, url) => expect(parseRepo(text)).toMatchObject({ kind, url }))

  test.each([
    '',
    '   ',
    'project',
    'you/project',
    'https://',
    'https://github.com',
    'https://github.com/',
    'git://host/x',
    'ftp://host/x',
    'ext::sh -c id',
    '--upload-pack=touch /x',
    '-x',
    'https://host/a\nb',
    'a\0b',
    'file://other/srv/x',
    'ssh://-oProxyCommand=x/y',
    'ssh://host',
    'https://host:99999/x',
  ])('%o is refused', (text) => expect(() => parseRepo(text)).toThrow(invalid))

  test('a short form without a host is told how to write it', () => {
    expect(() => parseRepo('you/project')).toThrow(
      expect.objectContaining({ hint: expect.stringContaining('github.com/you/project') }),
    )
  })

  test('gives user and password apart from the address', () => {
    expect(parseRepo('https://me:p%40ss@host.example/x').credentials).toEqual({ username: 'me', password: 'p@ss' })
    expect(parseRepo('https://host.example/x').credentials).toBeNull()
  })

  const secret = fc.stringMatching(/^[A-Za-z0-9]{12,20}$/)
  test('a password is never in the address, in what is shown, or in an error', () => {
    const scheme = fc.constantFrom('https', 'http', 'ssh', 'git', 'ftp')
    const host = fc.constantFrom('h.example', 'localhost:80', 'h.example:99999', '')
    fc.assert(
      fc.property(scheme, secret, host, fc.webPath(), (protocol, password, where, path) => {
        const text = `${protocol}://me:${password}@${where}${path}`
        expect(withoutCredentials(text)).not.toContain(password)
        try {
          const { url } = parseRepo(text)
          expect(url).not.toContain(password)
        } catch (error) {
          expect(error).toEqual(invalid)
          expect(String(error)).not.toContain(password)
        }
      }),
    )
  })

  test.each([
    ['https:///me:s3cret@h.example/x', 'https:///h.example/x'],
    ['https:\\\\me:s3cret@h.example/x', 'https:\\\\h.example/x'],
    ['https:me:s3cret@h.example/x', 'https:h.example/x'],
    ['https://me:s3\tcret@h.example/x', 'https://h.example/x'],
    ['https://me:s3 cret@h.example/x', 'https://h.example/x'],
    ['https://me:s3/cret@h.example/x', 'https://h.example/x'],
    ['me:s3cret@h.example/x', 'h.example/x'],
    ['git@h.example:you/x', 'git@h.example:you/x'],
    ['https://h.example:8443/x@v1', 'https://h.example:8443/x@v1'],
  ])('%j is shown as %j', (text, shown) => {
    expect(withoutCredentials(text)).toBe(shown)
    try {
      expect(JSON.stringify(parseRepo(text).url)).not.toMatch(/s3.?.?cret/)
    } catch (error) {
      expect(error).toEqual(invalid)
      expect(String(error)).not.toMatch(/s3.?.?cret/)
    }
  })

  test('a password is never shown, however badly the address is written', () => {
    const scheme = fc.constantFrom('https:', 'HTTP:', 'ssh:', 'git:', 'ftp:', 'ht\ttps:', ' https:')
    const slashes = fc.constantFrom('//', '///', '\\\\', '/\\', '//\n', '////')
    const user = fc.constantFrom('', 'me', 'me@there', 'a%20b', 'ä')
    const odd = fc.constantFrom('', '', '@', '/', '\\', '?', '#', ' ', '\t', '\n', ':', '%', '%zz', '[')
    const host = fc.constantFrom('h.example', 'h.example:99999', '', '[::1]')
    fc.assert(
      fc.property(scheme, slashes, user, odd, secret, odd, host, fc.webPath(), (...parts) => {
        const [protocol, slash, name, before, password, after, where, path] = parts
        const text = `${protocol}${slash}${name}:${before}${password}${after}@${where}${path}`
        expect(withoutCredentials(text)).not.toContain(password)
        try {
          const { url, kind } = parseRepo(text)
          // A slash ends what the parser takes for the host: then it is no password but a path of that host.
          if (kind === 'https' && !/[/\\?#]/.test(before + after)) expect(url).not.toContain(password)
        } catch (error) {
          expect(error).toEqual(invalid)
          expect(String(error)).not.toContain(password)
        }
      }),
    )
  })

  test('whatever is taken is no option of git, has no control character, and is read as the same again', () => {
    const text = fc.oneof(
      fc.string(),
      fc.string({ unit: 'binary' }),
      fc.webUrl(),
      fc.stringMatching(/^[\w@:./~-]{1,20}$/),
    )
    fc.assert(
      fc.property(text, (input) => {
        let address: ReturnType<typeof parseRepo>
        try {
          address = parseRepo(input)
        } catch (error) {
          expect(error).toEqual(invalid)
          return
        }
        expect(address.url.startsWith('-')).toBe(false)
        // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
        expect(address.url).not.toMatch(/[\u0000-\u001f\u007f]/)
        if (address.kind !== 'local')
          expect(parseRepo(address.url)).toMatchObject({ kind: address.kind, url: address.url })
      }),
      { numRuns: 500 },
    )
  })
})
