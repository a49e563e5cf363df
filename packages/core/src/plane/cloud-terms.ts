import { type CreateBox, GibilError, type Provider, type Shape } from '@gibil/contract'
import type { BoxRecord } from '../box-record.ts'

type Asked = Pick<CreateBox, 'cloud' | 'cloudInit' | 'maxCost'>

/** What was asked of a cloud and of cloud-init, where there is one. Throws `invalid_request`. */
export function cloudTerms(
  { cloud, cloudInit, maxCost }: Asked,
  { provider, shape }: { readonly provider: Provider; readonly shape: Shape },
): Pick<BoxRecord, 'cloudWish' | 'cloudInit' | 'maxCost'> {
  if (((cloud && Object.keys(cloud).length > 0) || maxCost !== undefined) && provider === 'local') {
    throw new GibilError(
      'invalid_request',
      'A server type, location, architecture or price is for a cloud, and this machine is none.',
      {
        hint: 'Add --provider hetzner, or give the size by --size, --cpu, --memory, --disk.',
      },
    )
  }
  if (provider !== 'local' && shape !== 'vm') {
    throw new GibilError('unsupported_by_shape', `A box of ${provider} is a vm, and no ${shape}.`, {
      hint: 'Leave --shape out, or make it on this machine: --provider local.',
    })
  }
  if (cloudInit !== undefined && shape !== 'vm') {
    throw new GibilError('unsupported_by_shape', `cloud-init runs in a vm, and not in a ${shape}.`, {
      hint: 'Add --shape vm, or put the commands in .gibil.yml.',
    })
  }
  return {
    ...(provider === 'local' ? {} : { cloudWish: cloud ?? {} }),
    ...(cloudInit === undefined ? {} : { cloudInit }),
    ...(maxCost === undefined ? {} : { maxCost }),
  }
}
