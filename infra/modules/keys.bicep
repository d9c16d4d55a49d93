// The keys of one vault, in hardware, each followed by its next version a month before it ends. A step of its own, after
// key-expiry: Key Vault tells of the end of those versions only that were made after somebody subscribed.
// A key that is there keeps its versions: deployed again, this changes none.

@description('Required. The vault.')
param vaultName string

@description('Required. The names of the keys that wrap other keys (RSA 3072).')
@minLength(1)
param wrappingKeys array

@description('Required. The names of the keys that sign (P-256).')
param signingKeys array

@description('Required. When the first version of each key ends, in seconds since 1970; the vault makes the next one a month before.')
param expires int

@description('Required. Tags.')
param tags object

@description('A next version a month before the last one ends. What an ended version wrapped is still unwrapped, what it signed still verifies.')
var rotation = {
  attributes: { expiryTime: 'P2Y' }
  lifetimeActions: [
    { trigger: { timeBeforeExpiry: 'P30D' }, action: { type: 'rotate' } }
    { trigger: { timeBeforeExpiry: 'P30D' }, action: { type: 'notify' } }
  ]
}

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' existing = {
  name: vaultName
}

resource wrappingKey 'Microsoft.KeyVault/vaults/keys@2025-05-01' = [
  for keyName in wrappingKeys: {
    parent: vault
    name: keyName
    tags: tags
    properties: {
      kty: 'RSA-HSM'
      keySize: 3072
      keyOps: ['wrapKey', 'unwrapKey']
      attributes: { enabled: true, exp: expires }
      rotationPolicy: rotation
    }
  }
]

resource signingKey 'Microsoft.KeyVault/vaults/keys@2025-05-01' = [
  for keyName in signingKeys: {
    parent: vault
    name: keyName
    tags: tags
    properties: {
      kty: 'EC-HSM'
      curveName: 'P-256'
      keyOps: ['sign', 'verify']
      attributes: { enabled: true, exp: expires }
      rotationPolicy: rotation
    }
  }
]

@description('The address of the first of wrappingKeys, without a version.')
output keyUri string = wrappingKey[0].properties.keyUri
