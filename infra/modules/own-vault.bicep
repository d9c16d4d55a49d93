// Looks at a vault that the provider already has, before anything is made: that it is there, with the key, and as Cosmos DB
// and Storage need it. Makes nothing. Where the vault or the key is not there, Azure says so by its name.

@description('Required. The vault, in this resource group.')
param vaultName string

@description('Required. The key in it.')
param keyName string

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' existing = {
  name: vaultName

  resource key 'keys' existing = {
    name: keyName
  }
}

@description('What has to be done to it first, as commands of the Azure CLI say it.')
var lacks = filter(
  [
    vault.properties.?enableRbacAuthorization ?? false ? '' : '--enable-rbac-authorization true'
    vault.properties.?enablePurgeProtection ?? false ? '' : '--enable-purge-protection true'
    (vault.properties.?networkAcls.?bypass ?? 'AzureServices') == 'AzureServices' ? '' : '--bypass AzureServices'
  ],
  option => !empty(option)
)

@description('The key, without a version.')
output keyUri string = !empty(lacks)
  ? fail('ownVaultName: database and storage cannot use ${vaultName} yet: az keyvault update -n ${vaultName} ${join(lacks, ' ')}')
  : startsWith(vault::key.properties.kty, 'RSA')
      ? vault::key.properties.keyUri
      : fail('ownKeyUri: database and storage take RSA keys only; make another key in ${vaultName}, and type its address.')
