// Keeps people from deleting the vaults, the database and the evidence by mistake; a vault that the provider brought too.
// Roles on them cannot be taken away either while a lock is there. Who deploys this needs the right to make locks; who
// takes the installation down takes them away first (infra/README.md).

@description('Required. The vaults.')
param vaultNames array

@description('Required. The Cosmos DB account.')
param cosmosName string

@description('Required. The storage account of the evidence.')
param evidenceName string

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' existing = [
  for name in vaultNames: {
    name: name
  }
]

resource cosmos 'Microsoft.DocumentDB/databaseAccounts@2025-10-15' existing = {
  name: cosmosName
}

resource evidence 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: evidenceName
}

resource vaultLock 'Microsoft.Authorization/locks@2020-05-01' = [
  for (name, i) in vaultNames: {
    name: 'assay-keep'
    scope: vault[i]
    properties: { level: 'CanNotDelete', notes: 'Without its keys no record can be read again.' }
  }
]

resource cosmosLock 'Microsoft.Authorization/locks@2020-05-01' = {
  name: 'assay-keep'
  scope: cosmos
  properties: { level: 'CanNotDelete', notes: 'The clients\' records and the audit logs.' }
}

resource evidenceLock 'Microsoft.Authorization/locks@2020-05-01' = {
  name: 'assay-keep'
  scope: evidence
  properties: { level: 'CanNotDelete', notes: 'What came in, and the published audit logs.' }
}
