// One secret in the app's vault. Written through Azure's management side, so also where the vault itself is private:
// the way for an operator to set one later is to deploy this file alone.

@description('Required. The vault.')
param vaultName string

@description('Required. The secret\'s name: teams, smtp, or one that a connection names.')
@minLength(1)
@maxLength(127)
param name string

@description('Required. The secret.')
@secure()
param value string

@description('Required. When it ends, in seconds since 1970: whoever made it says how long it is good.')
param expires int

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' existing = {
  name: vaultName
}

resource secret 'Microsoft.KeyVault/vaults/secrets@2025-05-01' = {
  parent: vault
  name: name
  properties: {
    value: value
    contentType: 'text/plain'
    attributes: { enabled: true, exp: expires }
  }
}
