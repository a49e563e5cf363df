import packageJson from '../package.json' with { type: 'json' }

/** Of the daemon and all that is released with it. */
export const version: string = packageJson.version
